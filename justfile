# Recipes for daily work; `just` lists them. Everything that matters runs in `just test`, which is
# the command of the README.

# Lists the recipes.
default:
    @just --list --unsorted

# Plays the five stories and leaves the page open.
demo *args:
    cargo run --locked -- demo {{ args }}

# Installs what the tests need, then runs everything, or only the named steps.
test *steps:
    bash scripts/test.sh {{ steps }}

# The quick round before a commit: format, lints, the judge's tests.
check:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings
    cargo test --locked --package judge

# One part of the tests with the real servers at hand: `just it guardrails`.
it *filter:
    eval "$(bash scripts/test-setup.sh)" && cargo test --locked --test it -- {{ filter }}

# The tests with the long simulations.
test-slow:
    eval "$(bash scripts/test-setup.sh)" && RUN_SLOW_TESTS=1 cargo test --locked --workspace

# Rewrites the expected files of tests/cases and the generated references; read the diff.
golden:
    eval "$(bash scripts/test-setup.sh)" && UPDATE_GOLDEN=1 cargo test --locked --workspace

# The documentation of the code, private items included, as the test command builds it.
doc:
    RUSTDOCFLAGS=-Dwarnings cargo doc --locked --workspace --no-deps --document-private-items

# Licences, bans, sources and advisories of all dependencies.
deny:
    bash scripts/supply-chain.sh

# The binary to install: link-time optimisation, stripped.
dist:
    cargo build --locked --profile dist
