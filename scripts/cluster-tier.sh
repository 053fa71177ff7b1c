# Sourced by scripts/test: what runs against the real control plane. Each line is one check.

check "control plane module: vet" env CGO_ENABLED=0 go -C tools/controlplane vet ./...
tests "control plane" cargo test --quiet --package trueup-testkit --features cluster --test cluster
# The full number is docs/proof.md's business.
tests "differential" cargo xtask differential --cases 150 --seed 1
tests "cluster crate" cargo test --quiet --package trueup-cluster --features cluster --test cluster
# Argo CD's own scripts and their published cases, which Go fetches (about 40 MB the first time).
tests "corpus of health checks and actions" cargo test --quiet --package trueup-lua --features corpus --test corpus
check "generated table is fresh" cargo xtask codegen --check
# In both worlds, which must agree about each step.
tests "stories" stories both
# Figures are not judged here, only that a run counts.
check "bench latency" cargo xtask bench latency --debug --apps 4 --writes 3
check "bench start" cargo xtask bench start --debug --apps 4
