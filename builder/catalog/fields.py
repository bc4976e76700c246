"""What the fields of image.yaml may hold."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, StrictBool, StringConstraints

NAME = r"^[a-z][a-z0-9-]*$"
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,114}"  # 13 more characters name the lock; Docker takes 128


def without_control_characters(value: str) -> str:
    """What ends up in a Dockerfile must not make a line of its own there, nor move a terminal's cursor."""
    if not value.isprintable():
        raise ValueError(f"expected one line without control characters, found {value!r}")
    return value


def not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("expected text, found white space alone")
    return value


Value = Annotated[str, AfterValidator(without_control_characters)]
Text = Annotated[Value, StringConstraints(min_length=1, strip_whitespace=True), AfterValidator(not_blank)]
Name = Annotated[str, StringConstraints(pattern=NAME)]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9a-z]+)*$")]
Python = Annotated[str, StringConstraints(pattern=r"^3\.[0-9]{1,2}$")]
DebianPackage = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
Command = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$")]
Script = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+\.py$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*$")]
TagTemplate = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_.-]|\{[a-z0-9_]+\})+$")]
Default = Annotated[
    StrictBool, Field(description="true, or false for an image that commands take only if it is named, or with --all")
]
Gpu = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]?\.[0-9](\+PTX)?$")]
Gpus = Annotated[
    tuple[Gpu, ...],
    Field(description='compute capabilities, such as ["8.0", "9.0+PTX"], as the smoke tests find them in the wheels'),
]
Size = Annotated[ByteSize, Field(gt=0)]


class Strict(BaseModel):
    """No key is unknown, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")
