//! Which verb a request means, by its method and path.

use http::Method;

use super::path::ResourcePath;
use super::query::Query;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    pub(super) fn of(method: &Method, query: &Query, path: &ResourcePath) -> Option<Self> {
        let named = path.name.is_some();
        Some(match *method {
            Method::GET if query.flag("watch") => Self::Watch,
            Method::GET if named => Self::Get,
            Method::GET => Self::List,
            Method::POST if !named || path.subresource.is_some() => Self::Create,
            Method::PUT if named => Self::Update,
            Method::PATCH if named => Self::Patch,
            Method::DELETE if named => Self::Delete,
            Method::DELETE => Self::DeleteCollection,
            _ => return None,
        })
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    pub(super) fn removes(self) -> bool {
        matches!(self, Self::Delete | Self::DeleteCollection)
    }

    pub(super) fn is_write(self) -> bool {
        match self {
            Self::Get | Self::List | Self::Watch => false,
            Self::Create | Self::Update | Self::Patch | Self::Delete | Self::DeleteCollection => true,
        }
    }
}

/// What a request for a resource is called.
pub(super) fn verb_of(method: &Method, query: &Query, path: &ResourcePath) -> Option<&'static str> {
    Verb::of(method, query, path).map(Verb::as_str)
}

/// The one name that a field selector limits a collection to.
pub(super) fn selected_name<'a>(verb: &str, query: &'a Query) -> &'a str {
    if !matches!(verb, "list" | "watch" | "deletecollection") {
        return "";
    }
    let selected = query
        .text("fieldSelector")
        .and_then(|selector| selector.split(',').find_map(|part| part.strip_prefix("metadata.name=")));
    selected.map_or("", |name| name.trim_start_matches('='))
}
