"""Groups files as people and spreadsheets write them."""

import os
from pathlib import Path

import pytest

from trainables.errors import DataProblem
from tuner.dataset.reading.groups import read_groups
from tuner.dataset.reading.scan import ImageFile, Scan

PATHS = ("a/1.png", "a/2.png", "b/gr\u00fcn 1.png", "b/x,y.png", "b/ padded .png")
GROUPS = dict(zip(PATHS, ("g1", "g1", "007", "g;3", "g 4"), strict=True))


def scan_of(*paths: str) -> Scan:
    images = tuple(ImageFile(path, path[0], None, 8, 8, path) for path in paths)
    return Scan(Path("/data"), ("a", "b"), images, (), (), ())


def table(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    file = tmp_path / "groups.csv"
    file.write_bytes(text.encode(encoding))
    return file


PLAIN = 'path,group\na/1.png,g1\na/2.png,g1\nb/grün 1.png,007\n"b/x,y.png",g;3\nb/ padded .png,g 4\n'


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        "\ufeff" + PLAIN,
        PLAIN.replace("g1\n", "g1,,,\n"),
        PLAIN.replace("path,group", "Path , GROUP ").replace("png,", "png , "),
        PLAIN.replace("path,group", "path,group,,").replace("g1\n", "g1,,\n"),
        PLAIN.replace("a/1", "a\\1").replace("a/2", ".\\a\\2"),
        PLAIN + "a/1.png,g1\n" + "\n,,\nb/unused.png,z\n",
        "\n" + PLAIN,
        PLAIN.replace("gr\u00fcn", "gru\u0308n"),
        'path;group\na/1.png;g1\na/2.png;g1\nb/grün 1.png;007\nb/x,y.png;"g;3"\nb/ padded .png;g 4\n',
        'sep=;\r\npath;group\na/1.png;g1\na/2.png;g1\nb/grün 1.png;007\nb/x,y.png;"g;3"\nb/ padded .png;g 4\n',
        "path\tgroup\na/1.png\tg1\na/2.png\tg1\nb/grün 1.png\t007\nb/x,y.png\tg;3\nb/ padded .png\tg 4\n",
        "group,note,path\n"
        'g1,"two, three",a/1.png\ng1,,a/2.png\n007,,b/grün 1.png\ng;3,,"b/x,y.png"\ng 4,,b/ padded .png\n',
        '"path" , "group" \n'
        '"a/1.png" , "g1" \n"a/2.png","g1"\n"b/grün 1.png","007"\n"b/x,y.png","g;3"\n"b/ padded .png","g 4"\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_table_of_any_spreadsheet_is_read_as_meant(tmp_path: Path, text: str, encoding: str) -> None:
    assert read_groups(scan_of(*PATHS), table(tmp_path, text, encoding), None) == GROUPS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,group\na/x,1.png,g\n", "3 values for 2 columns in the row 'a/x'; put quotes"),
        ("path,group,group\na/1.png,g,h\n", "has 2 columns 'group'"),
        ("file;leaf\na/1.png;g\n", "needs the columns path and group; it has file;leaf"),
        ("a/1.png,g1\n", "needs the columns path and group; it has a/1.png, g1"),
        ('path,group\n"a/1.png,g\n', "can't be read: the quote before 'a/1.png,g"),
        ("path,group\na/1.png, x\na/1.png ,y\n", "gives 'a/1.png' two groups: 'x' and 'y'"),
        (" \n", "it is empty"),
        ("path,group\n", "no group to 1 of 1"),
    ],
)
def test_what_is_wrong_is_told_right(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataProblem) as caught:
        read_groups(scan_of("a/1.png"), table(tmp_path, text), None)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_in_another_encoding_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="it is no UTF-8"):
        read_groups(scan_of("a/1.png"), table(tmp_path, "path,group\na/é.png,x\n", "latin-1"), None)
    odd = Path(os.fsdecode(b"/tmp/\xe9.csv"))
    with pytest.raises(DataProblem, match=r"groups file /tmp/\\xe9\.csv: its path is no valid UTF-8"):
        read_groups(scan_of("a/1.png"), odd, None)
    with pytest.raises(DataProblem, match="Is a directory"):
        read_groups(scan_of("a/1.png"), tmp_path, None)
