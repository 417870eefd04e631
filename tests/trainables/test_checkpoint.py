import errno
from pathlib import Path

import pyarrow
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from trainables.checkpoint import (
    BASE,
    WRITING,
    CheckpointWriter,
    best_name,
    read_state,
    take_best,
    weights_of,
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64)).to(memory_format=torch.channels_last)
    return nn.Sequential(backbone, nn.Linear(64, 3))


def head_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in weights_of(network).items() if name.startswith("1.")}


def write(writer: CheckpointWriter, network: nn.Module, epoch: int, moved: dict[str, torch.Tensor]) -> None:
    writer.write({"epoch": epoch, "weights": moved}, (epoch, weights_of(network)))


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def kept(folder: Path, epoch: int) -> dict[str, torch.Tensor]:
    take_best(folder, epoch, folder / "kept.safetensors")
    return load_file(folder / "kept.safetensors")


def test_what_training_does_next_does_not_reach_the_files(tmp_path, network):
    writer = CheckpointWriter(tmp_path)
    before = {name: tensor.clone() for name, tensor in weights_of(network).items()}
    write(writer, network, 1, weights_of(network))
    for parameter in network.parameters():
        parameter.data.zero_()
    writer.wait()
    assert equal(read_state(tmp_path)["weights"], before)
    assert equal(kept(tmp_path, 1), before)


def test_frozen_epochs_write_their_backbone_once_and_the_kept_file_is_whole(tmp_path, network):
    writer = CheckpointWriter(tmp_path)
    inodes = set()
    for epoch in (1, 2):
        network[1].weight.data.add_(1.0)
        write(writer, network, epoch, head_of(network))
        writer.wait()
        inodes.add((tmp_path / BASE).stat().st_ino)
        assert load_file(tmp_path / best_name(epoch)).keys() == head_of(network).keys()
    assert len(inodes) == 1
    assert not (tmp_path / best_name(1)).exists()
    assert equal(kept(tmp_path, 2), weights_of(network))


def test_after_an_unfreeze_the_best_weights_are_whole_by_themselves(tmp_path, network):
    writer = CheckpointWriter(tmp_path)
    write(writer, network, 1, head_of(network))
    network[0][0].weight.data.add_(1.0)
    write(writer, network, 2, weights_of(network))
    writer.wait()
    assert equal(load_file(tmp_path / best_name(2)), weights_of(network))
    assert equal(kept(tmp_path, 2), weights_of(network))


def test_a_new_writer_goes_on_with_the_backbone_that_is_there(tmp_path, network):
    first, second = CheckpointWriter(tmp_path), CheckpointWriter(tmp_path)
    write(first, network, 1, head_of(network))
    first.wait()
    inode = (tmp_path / BASE).stat().st_ino
    network[1].bias.data.add_(1.0)
    write(second, network, 2, head_of(network))
    second.wait()
    assert (tmp_path / BASE).stat().st_ino == inode
    assert equal(kept(tmp_path, 2), weights_of(network))


def test_without_best_weights_nothing_is_kept(tmp_path):
    take_best(tmp_path, 1, tmp_path / "kept.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_has_gone_ends_the_writing_quietly(tmp_path, network):
    writer = CheckpointWriter(tmp_path / "gone")
    write(writer, network, 1, head_of(network))
    writer.write({"epoch": 2}, None)
    writer.wait()
    assert not (tmp_path / "gone").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_raised_with_its_number(tmp_path, network):
    (tmp_path / ".state.pt").symlink_to("/dev/full")
    writer = CheckpointWriter(tmp_path)
    write(writer, network, 1, weights_of(network))
    with pytest.raises(OSError, match="No space left") as raised:
        writer.wait()
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.parametrize("error", [pyarrow.ArrowInvalid("an odd key"), KeyError("name"), MemoryError()])
def test_whatever_the_writing_raises_is_raised_by_wait(tmp_path, network, error):
    def publish(names):
        raise error

    writer = CheckpointWriter(tmp_path, publish)
    write(writer, network, 1, weights_of(network))
    with pytest.raises(type(error)) as raised:
        writer.wait()
    assert raised.value is error
    assert [file.name for file in tmp_path.glob(".writing")] == []
    writer.wait()


def test_a_missing_file_is_raised_while_the_trials_folder_is_there(tmp_path, network):
    def publish(names):
        raise FileNotFoundError("the bucket")

    writer = CheckpointWriter(tmp_path, publish)
    write(writer, network, 1, weights_of(network))
    with pytest.raises(FileNotFoundError, match="the bucket"):
        writer.wait()


def test_an_error_of_tidying_up_is_raised_too(tmp_path, network):
    writer = CheckpointWriter(
        tmp_path, lambda names: (tmp_path / WRITING).unlink() or (tmp_path / WRITING).mkdir()
    )
    write(writer, network, 1, weights_of(network))
    with pytest.raises(OSError, match=r"\.writing"):
        writer.wait()
