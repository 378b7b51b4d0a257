"""A sentence model made on the spot: each word is a direction, so a cosine counts shared words."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

IR, OPSET = 8, 17


def write_sentence_model(
    folder: Path, words: str, *, rank: int = 3, input_name: str = "input_ids", unit: float = 1.0
) -> Path:
    """A folder with model.onnx and tokenizer.json. A word that is not in ``words`` is nothing.

    ``rank`` 2 gives one vector a text, which is the wrong shape.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = list(dict.fromkeys(words.lower().split()))
    table = np.zeros((len(known) + 1, len(known)), np.float32)
    np.fill_diagonal(table[1:], unit)
    ids = helper.make_tensor_value_info(input_name, TensorProto.INT64, ["batch", "tokens"])
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "tokens"])
    nodes = [helper.make_node("Gather", ["table", input_name], ["vectors"])]
    if rank == 2:
        nodes.append(helper.make_node("ReduceMean", ["vectors"], ["mean"], axes=[1], keepdims=0))
    out = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(table, "table")]
    graph = helper.make_graph(nodes, "words", [ids, mask], [out], weights)
    model = helper.make_model(graph, ir_version=IR, opset_imports=[helper.make_opsetid("", OPSET)])
    onnx.save(model, str(folder / "model.onnx"))
    vocabulary = {"[UNK]": 0, **{word: number for number, word in enumerate(known, 1)}}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
