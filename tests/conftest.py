"""Settings of the whole suite."""

from hypothesis import HealthCheck, settings

# Derandomized, so that a red build is red again on the next machine; no deadline, because two
# workers share these cores.
settings.register_profile(
    "voxmill",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("voxmill")
