"""The catalogue of measures: what each is, in which unit, how it is taken and by whose method.

Steps take measures, gates and expectations judge them, reports and docs/measures.md show them; all
of them read this list. A measure that a step takes and the list lacks fails a test.
"""

from dataclasses import dataclass
from typing import Final, Literal

Family = Literal[
    "duration", "silence", "breaks", "level", "noise", "band", "pitch", "text", "units", "pair",
    "alignment", "recognition", "voice activity", "naturalness", "attempts",
]  # fmt: skip
Better = Literal["low", "high", ""]  # "": neither, it depends on what is wanted


@dataclass(frozen=True, kw_only=True)
class MeasureInfo:
    """One measure. ``unavailable`` says for which utterances it has no value.

    ``better`` is where the good values are, for those who sort by it. ``setting`` is what a job
    must say for the measure to be taken at all; empty where it always is.
    """

    name: str
    family: Family
    unit: str
    what: str
    method: str
    source: str
    unavailable: str = ""
    better: Better = ""
    setting: str = ""


OWN: Final = "this project"
ALIGN: Final = "checks.align: true"
ASR: Final = "checks.asr_fraction over 0"
VAD: Final = "checks.vad: true"
NO_ALIGNMENT: Final = (
    "languages without an aligner, voices with recognizable: false, a word without pronunciation"
)
NO_ASR: Final = "languages without a recognizer, voices with recognizable: false"
NO_UNITS: Final = "turns whose role has no units, and jobs without"
NO_PAIR: Final = "user turns"

CATALOGUE: Final = (
    MeasureInfo(
        name="duration_s", family="duration", unit="s",
        what="length of the audio that ships", method="samples over rate", source=OWN,
    ),
    MeasureInfo(
        name="duration_ratio", family="duration", unit="ratio",
        what="duration, before any change of speed, over the one predicted from text and voice",
        method="a line in letters, words, commas and stops, least absolute relative errors",
        source="transforms/pace.py",
        unavailable="a language with under 12 clips when it was fitted; texts without letters",
    ),
    MeasureInfo(
        name="chars_per_s", family="duration", unit="letters per s",
        what="speech rate", method="letters and digits of the spoken text over the duration",
        source=OWN, unavailable="texts without letters",
    ),
    MeasureInfo(
        name="leading_silence_s", family="silence", unit="s",
        what="silence before the first sound", method="10 ms frames with an RMS under -50 dBFS",
        source=OWN, better="low",
    ),
    MeasureInfo(
        name="longest_silence_s", family="silence", unit="s",
        what="longest silence between two sounds", method="as leading_silence_s", source=OWN,
        better="low",
    ),
    MeasureInfo(
        name="trailing_silence_s", family="silence", unit="s",
        what="silence after the last sound", method="as leading_silence_s", source=OWN,
        better="low",
    ),
    MeasureInfo(
        name="dropouts", family="breaks", unit="count",
        what="places where sound was lost: a hard gap within speech",
        method="10 ms or more of one value, with a level from 20 dB under the clip's in the 5 ms "
        "before and in the 5 ms after",
        source=OWN, better="low",
    ),
    MeasureInfo(
        name="repeated_audio_s", family="breaks", unit="s",
        what="longest stretch that comes again sample for sample: a buffer played twice",
        method="windows of 32 samples found again by hash, 50 ms or more apart; 0 under 20 ms",
        source=OWN, better="low",
    ),
    MeasureInfo(
        name="clipped_fraction", family="level", unit="fraction",
        what="samples at full scale", method="|x| of int16 at least 32767", source=OWN,
        better="low",
    ),
    MeasureInfo(
        name="flat_peaks_fraction", family="level", unit="fraction",
        what="samples in flat peaks, at any level: clipping before the gain was turned down",
        method="runs of 4 or more samples within 0.5 % of full swing below the clip's own extreme",
        source=OWN, unavailable="silence", better="low",
    ),
    MeasureInfo(
        name="dc_offset", family="level", unit="fraction of full scale",
        what="the mean of the waveform, without its sign", method="|mean| over 32768", source=OWN,
        better="low",
    ),
    MeasureInfo(
        name="peak_dbfs", family="level", unit="dBFS",
        what="the largest sample", method="20 log10 of max |x| over 32768", source=OWN,
        unavailable="silence",
    ),
    MeasureInfo(
        name="loudness_lufs", family="level", unit="LUFS",
        what="integrated loudness", method="ITU-R BS.1770-4: K-weighting, two gates",
        source="pyloudnorm", unavailable="clips under 0.4 s, and where the gates leave nothing",
    ),
    MeasureInfo(
        name="noise_floor_dbfs", family="noise", unit="dBFS",
        what="level of the quietest stretches; -100 for digital silence",
        method="mean power of the quietest tenth of the 20 ms frames, DC removed", source=OWN,
        unavailable="clips under 0.4 s", better="low",
    ),
    MeasureInfo(
        name="snr_db", family="noise", unit="dB",
        what="estimate of speech over noise; at most 100",
        method="power of the frames within 20 dB of the loudest tenth, less the noise floor's, "
        "over the noise floor's; low for clips without a pause",
        source=OWN, unavailable="clips under 0.4 s, silence", better="high",
    ),
    MeasureInfo(
        name="hum_db", family="noise", unit="dB",
        what="mains hum: tones at 50 or 60 Hz and their multiples, over the whole",
        method="power of tones at the first 4 multiples over what is 12 Hz beside them, in 0.25 s "
        "windows; its 20th percentile over all of them or over their quietest quarter, the lower "
        "one, over the power of the clip",
        source=OWN, unavailable="clips under 1 s, silence", better="low",
    ),
    MeasureInfo(
        name="bandwidth_hz", family="band", unit="Hz",
        what="the highest frequency that carries sound",
        method="long-term spectrum (32 ms Hann windows) in 250 Hz bands; the upper edge of the "
        "highest band within 60 dB of the strongest",
        source=OWN, unavailable="clips under 0.1 s, silence",
    ),
    MeasureInfo(
        name="pitch_median_hz", family="pitch", unit="Hz",
        what="median fundamental frequency of voiced frames",
        method="autocorrelation over the window's own, parabolic peak, 60 to 500 Hz, 40 ms windows "
        "every 20 ms, voiced from a peak of 0.6 that a neighbor agrees with",
        source="Boersma 1993, without its path search", unavailable="under 5 voiced frames",
    ),
    MeasureInfo(
        name="pitch_range_st", family="pitch", unit="semitones",
        what="how far the voice moves", method="10th to 90th percentile of the voiced frames",
        source="as pitch_median_hz", unavailable="as pitch_median_hz",
    ),
    MeasureInfo(
        name="voiced_fraction", family="pitch", unit="fraction",
        what="voiced frames of all frames", method="as pitch_median_hz",
        source="as pitch_median_hz", unavailable="clips under 40 ms",
    ),
    MeasureInfo(
        name="text_chars", family="text", unit="characters",
        what="length of the spoken text", method="Unicode characters", source=OWN,
    ),
    MeasureInfo(
        name="text_words", family="text", unit="words",
        what="words of the spoken text; a Chinese character is one",
        method="runs of letters and digits", source=OWN,
    ),
    MeasureInfo(
        name="speakable_violations", family="text", unit="count",
        what="kinds of characters in the spoken text that a voice cannot say",
        method="transforms/text/speakable.py: markup, brackets, URLs, digits, script, symbols",
        source=OWN, better="low", unavailable="languages without rules",
    ),
    MeasureInfo(
        name="lang_match", family="text", unit="0 or 1",
        what="whether the spoken text can be in the row's language",
        method="share of Chinese characters; of function words, from 10 words on, lists apart",
        source="transforms/replies/flaws.py", better="high",
        unavailable="languages without a test, texts of fewer than 4 letters",
    ),
    MeasureInfo(
        name="repeated_ngrams", family="text", unit="fraction",
        what="words of the spoken text that repeat a run of 3 said before in it",
        method="3-grams of words (of characters in Chinese) beyond their first occurrence",
        source=OWN, better="low", unavailable="texts under 3 words",
    ),
    MeasureInfo(
        name="doubled_words", family="text", unit="count",
        what="words that follow themselves",
        method="equal neighbors with a space between them, case apart, but for numbers and "
        "words that double by rule",
        source=OWN, better="low",
    ),
    MeasureInfo(
        name="units_per_s", family="units", unit="units per s",
        what="units after collapsing, per second; of several codebooks a frame is one",
        method="num_units over duration", source=OWN,
        unavailable=NO_UNITS,
    ),
    MeasureInfo(
        name="unit_entropy_bits", family="units", unit="bits",
        what="how evenly the clip's frames use its units; 0 for one alone",
        method="-sum p log2 p over frames, p the share of each unit; of several codebooks the mean",
        source="Shannon 1948", unavailable=NO_UNITS,
    ),
    MeasureInfo(
        name="longest_unit_run_s", family="units", unit="s",
        what="longest stretch of one unit", method="largest duration over the frame rate",
        source=OWN, unavailable=NO_UNITS, better="low",
    ),
    MeasureInfo(
        name="pair_duration_ratio", family="pair", unit="ratio",
        what="the answer's duration over the question's", method="quotient", source=OWN,
        unavailable=NO_PAIR,
    ),
    MeasureInfo(
        name="pair_loudness_lu", family="pair", unit="LU",
        what="how much louder the answer is than the question", method="difference of loudness",
        source="BS.1770-4", unavailable="user turns, pairs without both loudnesses",
    ),
    MeasureInfo(
        name="pair_shared_words", family="pair", unit="fraction",
        what="content words of the question that the answer takes up",
        method="words of 4 letters or more without function words, by their first 5 letters; pairs "
        "of characters in Chinese",
        source=OWN, unavailable="user turns, questions without content words", better="high",
    ),
    MeasureInfo(
        name="aligned", family="alignment", unit="0 or 1",
        what="whether the text's words find a path through the audio, in order and to the end",
        method="forced alignment", source="PocketSphinx", unavailable=NO_ALIGNMENT,
        better="high", setting=ALIGN,
    ),
    MeasureInfo(
        name="align_score", family="alignment", unit="nats per frame",
        what="mean log likelihood of the aligned words' frames; 0 is best",
        method="forced alignment", source="PocketSphinx",
        unavailable=NO_ALIGNMENT + "; where aligned is 0", better="high", setting=ALIGN,
    ),
    MeasureInfo(
        name="align_low_words", family="alignment", unit="fraction",
        what="words whose own mean is under -4", method="forced alignment",
        source="PocketSphinx", unavailable="as align_score", better="low", setting=ALIGN,
    ),
    MeasureInfo(
        name="asr_wer", family="recognition", unit="edits per word",
        what="recognition against the spoken text, by words; may exceed 1",
        method="Levenshtein distance of both sides' normal forms", source="the job's recognizer",
        unavailable=NO_ASR, better="low", setting=ASR,
    ),
    MeasureInfo(
        name="asr_cer", family="recognition", unit="edits per letter",
        what="recognition against the spoken text, by letters; may exceed 1",
        method="as asr_wer", source="the job's recognizer", unavailable=NO_ASR, better="low",
        setting=ASR,
    ),
    MeasureInfo(
        name="asr_word_errors", family="recognition", unit="count",
        what="edits behind asr_wer; their sum over asr_num_words' is a corpus's WER",
        method="as asr_wer", source="the job's recognizer", unavailable=NO_ASR, better="low",
        setting=ASR,
    ),
    MeasureInfo(
        name="asr_num_words", family="recognition", unit="count",
        what="words that were to be said; Chinese characters count as words",
        method="as asr_wer", source="the job's recognizer", unavailable=NO_ASR, setting=ASR,
    ),
    MeasureInfo(
        name="asr_letter_errors", family="recognition", unit="count",
        what="edits behind asr_cer; their sum over asr_num_letters' is a corpus's CER",
        method="as asr_cer", source="the job's recognizer", unavailable=NO_ASR, better="low",
        setting=ASR,
    ),
    MeasureInfo(
        name="asr_num_letters", family="recognition", unit="count",
        what="letters that were to be said", method="as asr_cer",
        source="the job's recognizer", unavailable=NO_ASR, setting=ASR,
    ),
    MeasureInfo(
        name="asr_wer_judged", family="recognition", unit="edits per word",
        what="what two recognizers say together by checks.asr_rule; with one, its asr_wer",
        method="docs/listeners.md", source="the job's recognizers",
        unavailable=NO_ASR + "; recognizers that do not agree", better="low", setting=ASR,
    ),
    MeasureInfo(
        name="asr_wer_second", family="recognition", unit="edits per word",
        what="as asr_wer, by the second recognizer", method="as asr_wer",
        source="the job's second recognizer", unavailable=NO_ASR, better="low",
        setting="checks.second",
    ),
    MeasureInfo(
        name="asr_cer_second", family="recognition", unit="edits per letter",
        what="as asr_cer, by the second recognizer", method="as asr_cer",
        source="the job's second recognizer", unavailable=NO_ASR, better="low",
        setting="checks.second",
    ),
    MeasureInfo(
        name="asr_wer_between", family="recognition", unit="0 to 1",
        what="how far both transcripts are apart", method="edits over the longer one's words",
        source="the job's recognizers", unavailable=NO_ASR, better="low",
        setting="checks.second",
    ),
    MeasureInfo(
        name="speech_fraction", family="voice activity", unit="fraction",
        what="windows with speech", method="32 ms windows with a speech probability from 0.5",
        source="Silero v6", unavailable="clips under 32 ms", setting=VAD,
    ),
    MeasureInfo(
        name="vad_leading_s", family="voice activity", unit="s", what="before the first speech",
        method="as speech_fraction", source="Silero v6", unavailable="clips under 32 ms",
        better="low", setting=VAD,
    ),
    MeasureInfo(
        name="vad_longest_pause_s", family="voice activity", unit="s",
        what="longest stretch without speech between two with", method="as speech_fraction",
        source="Silero v6", unavailable="clips under 32 ms", better="low", setting=VAD,
    ),
    MeasureInfo(
        name="vad_trailing_s", family="voice activity", unit="s", what="after the last speech",
        method="as speech_fraction", source="Silero v6", unavailable="clips under 32 ms",
        better="low", setting=VAD,
    ),
    MeasureInfo(
        name="mos", family="naturalness", unit="1 to 5",
        what="predicted mean opinion score", method="a predictor that the job names",
        source="the job's predictor", unavailable="what the predictor cannot take", better="high",
        setting="checks.mos",
    ),
    MeasureInfo(
        name="attempt_score", family="attempts", unit="0 to 1",
        what="least mark of the attempt that ships", method="transforms/attempts.py", source=OWN,
        unavailable="audio of the source", better="high",
    ),
    MeasureInfo(
        name="num_attempts", family="attempts", unit="count",
        what="how often the utterance was said", method="count", source=OWN,
        unavailable="audio of the source", better="low",
    ),
)  # fmt: skip
BY_NAME: Final = {item.name: item for item in CATALOGUE}


def of_family(*families: Family) -> tuple[str, ...]:
    """The names of the measures of some families, sorted."""
    return tuple(sorted(item.name for item in CATALOGUE if item.family in families))


def markdown() -> str:
    """The catalogue as the table of docs/measures.md."""
    lines = [
        "| measure | unit | what it is | method | source | unavailable for |",
        "|---|---|---|---|---|---|",
    ]
    for item in CATALOGUE:
        needs = f"jobs without {item.setting}" if item.setting else ""
        without = "; ".join(filter(None, (item.unavailable, needs)))
        cells = (f"`{item.name}`", item.unit, item.what, item.method, item.source, without or "-")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)
