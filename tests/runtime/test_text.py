import pytest

from diffaug.runtime.errors import UserError
from diffaug.runtime.text import printable, unseen


def test_a_message_is_one_line_whatever_names_are_in_it() -> None:
    assert str(UserError("class 'two\nlines' and \x1b[31m and \u202egnp.exe")) == (
        r"class 'two\nlines' and \x1b[31m and \u202egnp.exe"
    )
    assert printable("part \udcff of a name") == r"part \udcff of a name"


@pytest.mark.parametrize("text", ["cat", "猫", "گربه", "a\u200cb", "🐈", "x = 1", "$"])
def test_letters_of_every_script_are_left_as_they_are(text: str) -> None:
    assert (printable(text), unseen(text)) == (text, None)
