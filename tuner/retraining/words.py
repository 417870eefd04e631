"""What a person is told while seeds train, on Ray or in this process."""

from tuner.retraining.seed_job import SeedJob, SeedResult

__all__ = ["ended_words", "kept_words", "unkept_words"]


def kept_words(before: int, count: int) -> str:
    """That so many of all models are there already.

    >>> kept_words(1, 3)
    '1 of 3 trained models are kept from before; 2 to train'
    """
    return f"{before} of {count} trained models are kept from before; {count - before} to train"


def unkept_words(job: SeedJob, seed: int, error: OSError) -> str:
    """That a trained model is lost if the command ends early."""
    return f"{job.said(seed)} is trained but can't be kept in {job.folder}: {error}"


def ended_words(who: str, result: SeedResult, done: int, count: int) -> str:
    """How the training of `who` ended, the one numbered `done`."""
    if result.error is not None:
        return f"{who} diverged ({done} of {count} done): {result.error}"
    return f"{who}: train_loss {result.history[-1]['train_loss']:.4f} ({done} of {count} done)"
