//! Tools that had an object before us.
//!
//! Before our first apply on an object their entries in managedFields are moved into ours, or a field that Git drops
//! would stay for ever; what they declared and Git does not goes with that apply, as it would go with theirs.

/// The tools whose entries a take-over moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OlderTool {
    ClientSideApply,
    ArgoCd,
    Flux,
    OtherGitOps,
    Helm,
    /// What an object carried before server-side apply first saw it.
    BeforeFirstApply,
}

impl OlderTool {
    /// The tool that a field manager's name stands for.
    pub fn of(manager: &str) -> Option<Self> {
        match manager {
            "kubectl-client-side-apply" => Some(Self::ClientSideApply),
            "before-first-apply" => Some(Self::BeforeFirstApply),
            "helm" | "Helm" => Some(Self::Helm),
            "argocd" => Some(Self::ArgoCd),
            "kustomize-controller" | "helm-controller" | "flux-client-side-apply" => Some(Self::Flux),
            "kluctl" | "configsync" | "kapp" => Some(Self::OtherGitOps),
            // Named after its binary, which differs between its components and releases.
            name if name.starts_with("argocd-") => Some(Self::ArgoCd),
            _ => None,
        }
    }
}
