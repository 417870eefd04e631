"""Trainings in this process, on all its cores, without a Ray that would take longer to start than it saves."""

from collections.abc import Sequence
from dataclasses import replace

from trainables.data.parallel import num_workers
from trainables.errors import RunProblem
from tuner.console.reporter import Reporter
from tuner.retraining import kept
from tuner.retraining.room import lack_of_room
from tuner.retraining.seed_job import SeedJob, SeedResult
from tuner.retraining.words import ended_words, kept_words, unkept_words

__all__ = ["train_here", "train_jobs_here"]


def train_here(job: SeedJob, seed: int, reporter: Reporter) -> SeedResult:
    """The result of one seed of a located job: trained now, or kept from a call that was interrupted.

    Raises RunProblem where the disk has no room for the weights.
    """
    from trainables.worker import as_worker
    from tuner.retraining.seeds import train_seed

    job = replace(job, num_threads=num_workers(None))
    if (found := kept.find(job, seed)) is not None:
        return found
    if (lack := lack_of_room(job, [])) is not None:
        raise RunProblem(lack)
    # Whoever calls this goes on with threads and memory as they were.
    with as_worker(job.num_threads):
        result = train_seed(job, seed)
    try:
        kept.keep(job, result)
    except OSError as error:
        reporter.warn(unkept_words(job, seed, error))
    return result


def train_jobs_here(
    jobs: Sequence[tuple[SeedJob, Sequence[int]]], reporter: Reporter
) -> list[list[SeedResult]]:
    """For each job the results of its seeds, in their order, one training after the other."""
    located = [(kept.located(job), seeds) for job, seeds in jobs]
    count, before = sum(len(seeds) for _, seeds in located), kept.num_kept(located)
    if before:
        reporter.line(kept_words(before, count))
    results: list[list[SeedResult]] = []
    for job, seeds in located:
        results.append([])
        for seed in seeds:
            with reporter.waiting(f"{job.said(seed)} trains"):
                results[-1].append(train_here(job, seed, reporter))
            reporter.line(ended_words(job.said(seed), results[-1][-1], sum(map(len, results)), count))
    return results
