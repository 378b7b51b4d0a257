"""The same requests by bespokelabs-curator, as its documentation shows them. One JSON line.

Run by benchmarks.endpoint in an environment of its own: ADDRESS IN_FLIGHT COUNT.
"""

import json
import os
import resource
import sys
import tempfile
import time

os.environ["CURATOR_DISABLE_CACHE"] = "1"
os.environ["TELEMETRY_ENABLED"] = "0"
os.environ["CURATOR_CACHE_DIR"] = tempfile.mkdtemp()
os.environ["OPENAI_API_KEY"] = "none"

from bespokelabs import curator
from datasets import Dataset


class Ask(curator.LLM):
    """One request per row, the reply as it comes."""

    def prompt(self, row: dict[str, str]) -> list[dict[str, str]]:
        return [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": row["text"]},
        ]

    def parse(self, row: dict[str, str], response: str) -> dict[str, str]:
        return {"text": response}


def run(url: str, in_flight: int, count: int) -> None:
    """Send ``count`` requests, ``in_flight`` at once, from the call to its dataset."""
    rows = [
        {"text": f"Instruction: Tell me about the number {n}. " + "It matters to me. " * 15}
        for n in range(count)
    ]
    llm = Ask(
        model_name="openai/tiny-chat",
        backend="litellm",  # its openai backend wants a tokenizer from the network
        generation_params={"max_tokens": 64, "seed": 1},
        backend_params={
            "base_url": url,
            "max_concurrent_requests": in_flight,
            "max_requests_per_minute": 10_000_000,
            "max_tokens_per_minute": 10_000_000_000,
            "require_all_responses": True,
        },
    )
    began = time.perf_counter()
    llm(Dataset.from_list(rows))
    seconds = time.perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb}))


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
