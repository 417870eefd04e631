"""Ray's switches: environment variables that have to stand before Ray is imported."""

__all__ = ["QUIET"]

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A trial without a GPU sees none, though the machine has some.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Of a custom searcher Ray takes one trial that has no worker yet, so that workers would start one after the
    # other; the searcher never proposes more than there are slots.
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",
    # tuner resumes from its own run directory, so Ray's snapshots of the experiment serve nobody.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
