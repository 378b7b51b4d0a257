"""The section `expectations` of a job."""

from pydantic import BaseModel, ConfigDict


class ExpectationSettings(BaseModel):
    """``suite`` is a file relative to the job's; None: generated from schema, gates and limits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str | None = None
    data_docs: bool = False
