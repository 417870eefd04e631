"""The examples, as far as they can be proved without SLURM, Kubernetes or Jupyter."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tuner.cli.app import commands

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def assert_a_command_that_exists(words):
    name, options = words[0], [word.split("=")[0] for word in words if word.startswith("--")]
    shown = CliRunner().invoke(commands, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    for option in options:
        assert option in shown.output


def test_the_slurm_script_is_bash_and_its_commands_exist():
    script = EXAMPLES / "slurm.sh"
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True).stderr == b""
    text = script.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^\s*tuner (.+?) &$", text, re.MULTILINE)
    assert len(found) == 2
    for command in found:
        assert_a_command_that_exists(command.split())


@pytest.mark.slow
def test_the_slurm_script_runs_through_and_hands_its_signal_on(tmp_path):
    """With stand-ins for SLURM and Ray; the search is a shell script that notes what it is told."""
    tools = tmp_path / "bin"
    tools.mkdir()
    stand_ins = {
        "scontrol": "echo one; echo two",
        "srun": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
        "hostname": "echo 10.0.0.1",
        "ray": f'echo "$@" >> {tmp_path}/ray',
        "sleep": "exit 0",
        "tuner": f'trap "exit 130" TERM; echo "$@" > {tmp_path}/tuner; while true; do /bin/sleep 0.1; done',
    }
    for name, text in stand_ins.items():
        (tools / name).write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    environment |= {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "x", "SLURM_CPUS_PER_TASK": "4"}
    script = subprocess.Popen(["bash", str(EXAMPLES / "slurm.sh")], env=environment)
    try:
        for _ in range(200):
            if (tmp_path / "tuner").exists():
                break
            with pytest.raises(subprocess.TimeoutExpired):
                script.wait(0.1)
        script.terminate()
        assert script.wait(30) == 130
    finally:
        script.kill()
        script.wait()
    assert "--address 10.0.0.1:6379" in (tmp_path / "tuner").read_text()
    started = (tmp_path / "ray").read_text().splitlines()
    assert sum("--head" in line for line in started) == 1
    assert sum("--address=10.0.0.1:6379" in line for line in started) == 1


def test_the_rayjob_is_complete_and_its_command_exists():
    job = yaml.safe_load((EXAMPLES / "rayjob.yaml").read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    words = job["spec"]["entrypoint"].split()
    assert words[:3] == ["python", "-m", "tuner"]
    assert_a_command_that_exists(words[3:])
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            assert set(mounts) <= volumes
            assert mounts["leaves"] == "/leaves"
            assert container["resources"]["requests"] == container["resources"]["limits"]
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
