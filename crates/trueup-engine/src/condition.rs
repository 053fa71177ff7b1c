//! Conditions of an Application (contracts: "Conditions"). The suffix of a type has Argo CD's meaning.

use trueup_object::ResourceKey;
use trueup_object::manifest::Origin;

/// The types of condition. Those about holds, pauses, deletion, exclusion and orphans are reserved names: this
/// build sets none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    ComparisonError,
    InvalidSpecError,
    SyncError,
    DeletionError,
    SharedResourceWarning,
    RepeatedResourceWarning,
    ExcludedResourceWarning,
    OrphanedResourceWarning,
    UnsupportedError,
    StaleWarning,
    ForeignControllerError,
    DriftBlocksSyncWarning,
    FightWarning,
    HeldInfo,
    PausedInfo,
    LimitWarning,
    UnconfirmedWarning,
    SettingsWarning,
}

impl ConditionType {
    pub const ALL: [Self; 18] = [
        Self::ComparisonError,
        Self::InvalidSpecError,
        Self::SyncError,
        Self::DeletionError,
        Self::SharedResourceWarning,
        Self::RepeatedResourceWarning,
        Self::ExcludedResourceWarning,
        Self::OrphanedResourceWarning,
        Self::UnsupportedError,
        Self::StaleWarning,
        Self::ForeignControllerError,
        Self::DriftBlocksSyncWarning,
        Self::FightWarning,
        Self::HeldInfo,
        Self::PausedInfo,
        Self::LimitWarning,
        Self::UnconfirmedWarning,
        Self::SettingsWarning,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ComparisonError => "ComparisonError",
            Self::InvalidSpecError => "InvalidSpecError",
            Self::SyncError => "SyncError",
            Self::DeletionError => "DeletionError",
            Self::SharedResourceWarning => "SharedResourceWarning",
            Self::RepeatedResourceWarning => "RepeatedResourceWarning",
            Self::ExcludedResourceWarning => "ExcludedResourceWarning",
            Self::OrphanedResourceWarning => "OrphanedResourceWarning",
            Self::UnsupportedError => "UnsupportedError",
            Self::StaleWarning => "StaleWarning",
            Self::ForeignControllerError => "ForeignControllerError",
            Self::DriftBlocksSyncWarning => "DriftBlocksSyncWarning",
            Self::FightWarning => "FightWarning",
            Self::HeldInfo => "HeldInfo",
            Self::PausedInfo => "PausedInfo",
            Self::LimitWarning => "LimitWarning",
            Self::UnconfirmedWarning => "UnconfirmedWarning",
            Self::SettingsWarning => "SettingsWarning",
        }
    }
}

/// One condition: what is the case, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    pub kind: ConditionType,
    /// Cause and remedy in a sentence or two.
    pub message: String,
}

impl Condition {
    pub fn new(kind: ConditionType, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub fn comparison_error(message: impl Into<String>) -> Self {
        Self::new(ConditionType::ComparisonError, message)
    }

    pub fn repeated_resource(key: &ResourceKey, earlier: &Origin) -> Self {
        Self::new(
            ConditionType::RepeatedResourceWarning,
            format!(
                "{key} appears more than once; the last one counts, the one at {earlier} does not: remove one"
            ),
        )
    }
}
