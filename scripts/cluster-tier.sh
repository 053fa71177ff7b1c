# Sourced by scripts/test: what runs against the real control plane. Each line is one check.

check "control plane module: vet" env CGO_ENABLED=0 go -C tools/controlplane vet ./...
check "operators module: vet" env CGO_ENABLED=0 go -C tools/operators vet ./...
tests "control plane" cargo test --quiet --package trueup-testkit --features cluster --test cluster
# The full number is docs/proof.md's business.
tests "differential" cargo xtask differential --cases 150 --seed 1
# Every command of the script in the sandbox and on the control plane.
tests "kubectl" cargo xtask kubectl-judge --quiet
# The sandbox held to the control plane by chance; the full number is docs/proof.md's business.
tests "sandbox differential" cargo xtask sandbox-differential --sequences 150 --seed 1
# With cert-manager and Argo Rollouts, which are built once (about 3 minutes).
tests "corpus" cargo xtask corpus --manifests 80 --edits 80
tests "cluster crate" cargo test --quiet --package trueup-cluster --features cluster --test cluster
# Argo CD's own scripts and their published cases, which Go fetches (about 40 MB the first time).
tests "corpus of health checks and actions" cargo test --quiet --package trueup-lua --features corpus --test corpus
check "generated table is fresh" cargo xtask codegen --check
# In both worlds, which must agree about each step.
tests "stories" stories both
# Argo CD's own definition of the Application comes with its Go module, which stays in Go's cache.
argocd_definition() {
    go -C tools/controlplane mod download -json github.com/argoproj/argo-cd/v3@v3.2.0 |
        sed -n 's|.*"Dir": "\(.*\)".*|\1/manifests/crds/application-crd.yaml|p'
}
stories_under_argocds_definition() {
    file=$(argocd_definition) && [ -f "$file" ] || return 1
    code=0
    cargo xtask story --world cluster --application-definition "$file" \
        stories/incident stories/self-heal stories/prune stories/foreign-controller stories/unreachable-repository || code=$?
    [ "$code" = 3 ] || return "$code"
}
tests "stories under Argo CD's own definition" stories_under_argocds_definition
# Figures are not judged here, only that a run counts.
check "bench latency" cargo xtask bench latency --debug --apps 4 --writes 3
check "bench start" cargo xtask bench start --debug --apps 4
