"""The section of `report`: what the page shows."""

from typing import Annotated

from pydantic import Field

from diffaug.params.base import Section


class ReportParams(Section):
    """sheet_rows: number of rows in each part of the image sheets."""

    sheet_rows: Annotated[int, Field(ge=1, le=20)]
