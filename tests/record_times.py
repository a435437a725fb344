"""Times that a raw record may have: any 64-bit integer, where its topic lets producers write them."""

RECORD_TIMES_MS = [
    -(2**63),
    -(2**53) - 1,
    -62_135_596_800_000,  # 0001-01-01, what some clients write for no time
    -100_000_000_000_000,
    -2,
    -1,
    0,
    1,
    1_780_000_000,  # seconds
    99_999_999_999,
    100_000_000_000,
    1_780_000_000_000,
    99_999_999_999_999,
    100_000_000_000_000,
    1_780_000_000_000_000,  # microseconds
    2**53 + 1,
    1_780_000_000_000_000_000,  # nanoseconds
    2**63 - 1,
]
