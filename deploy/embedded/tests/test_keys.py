import json
from base64 import b64decode
from pathlib import Path

from yijian_embedded.home import Home
from yijian_embedded.keys import ensure_key_file


def test_a_key_file_is_made_once_and_never_replaced(tmp_path: Path):
    home = Home(tmp_path)
    ensure_key_file(home, "approval")
    first = home.key_file("approval").read_text()
    ensure_key_file(home, "approval")
    ensure_key_file(home, "identity")

    material = json.loads(first)

    assert home.key_file("approval").read_text() == first != home.key_file("identity").read_text()
    assert list(material["keys"]) == [material["active"]]
    assert {len(b64decode(key)) for key in (*material["keys"].values(), material["index"])} == {32}
