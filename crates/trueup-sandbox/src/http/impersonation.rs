//! Standing in for somebody else, with the rights to do so (`Impersonate-*` headers).

use http::HeaderMap;
use trueup_object::value::Text;

use super::credentials::User;
use super::path::decode;
use super::serve::{AUTHENTICATED, Front, account_groups};
use crate::audit::Trail;
use crate::authorize::{self, Deed};
use crate::status::ApiStatus;

const EXTRA: &str = "impersonate-extra-";

/// What a request says about whom it is made for.
struct Wanted<'a> {
    uid: &'a str,
    groups: Vec<&'a str>,
    extra: Vec<(Text, Vec<Text>)>,
}

impl<'a> Wanted<'a> {
    fn read(headers: &'a HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let groups = headers.get_all("impersonate-group").iter().filter_map(|value| value.to_str().ok());
        let names = headers.keys().filter_map(|name| Some((name, name.as_str().strip_prefix(EXTRA)?)));
        let extra = names.map(|(name, key)| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            (decode(key).map_or_else(|| key.into(), Text::from), values.map(Text::from).collect())
        });
        Self { uid: text("impersonate-uid"), groups: groups.collect(), extra: extra.collect() }
    }

    fn is_empty(&self) -> bool {
        self.uid.is_empty() && self.groups.is_empty() && self.extra.is_empty()
    }

    /// As Go prints it with `%#v`.
    fn as_go(&self) -> String {
        let list = |items: &[String]| match items {
            [] => "[]string(nil)".to_owned(),
            items => format!("[]string{{{}}}", items.join(", ")),
        };
        let quoted = |text: &str| format!("{text:?}");
        let groups: Vec<String> = self.groups.iter().map(|group| quoted(group)).collect();
        let extra = if self.extra.is_empty() {
            "map[string][]string(nil)".to_owned()
        } else {
            let entry = |(key, values): &(Text, Vec<Text>)| {
                let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
                format!("{key:?}:{}", list(&values))
            };
            let entries: Vec<String> = self.extra.iter().map(entry).collect();
            format!("map[string][]string{{{}}}", entries.join(", "))
        };
        format!("&user.DefaultInfo{{Name:\"\", UID:{:?}, Groups:{}, Extra:{extra}}}", self.uid, list(&groups))
    }
}

impl Front {
    /// Whom the caller stands in for, if he says so and may.
    pub(super) fn impersonated(
        &self,
        user: User,
        headers: &HeaderMap,
        trail: &Trail,
    ) -> Result<User, ApiStatus> {
        let wanted = Wanted::read(headers);
        let Some(name) = headers.get("impersonate-user").and_then(|value| value.to_str().ok()) else {
            if wanted.is_empty() {
                return Ok(user);
            }
            let message = format!("requested {} without impersonating a user name", wanted.as_go());
            return Err(ApiStatus::bad_request(message));
        };
        let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
        let may = |group, (resource, subresource), namespace, name| {
            let deed = Deed::Resource { verb: "impersonate", group, resource, subresource, namespace, name };
            authorize::check(&self.api, &user, deed)
        };
        match account {
            Some((namespace, name)) => may("", ("serviceaccounts", ""), namespace, name)?,
            None => may("", ("users", ""), "", name)?,
        }
        wanted.groups.iter().try_for_each(|group| may("", ("groups", ""), "", group))?;
        for (key, values) in &wanted.extra {
            let right = ("userextras", key.as_str());
            values.iter().try_for_each(|value| may("authentication.k8s.io", right, "", value))?;
        }
        if !wanted.uid.is_empty() {
            may("authentication.k8s.io", ("uids", ""), "", wanted.uid)?;
        }
        let mut all: Vec<Text> = wanted.groups.into_iter().map(Text::from).collect();
        if let Some((namespace, _)) = account.filter(|_| all.is_empty()) {
            all.extend(account_groups(namespace));
        }
        if !all.iter().any(|group| group == AUTHENTICATED) {
            all.push(AUTHENTICATED.into());
        }
        let uid = wanted.uid.into();
        let stood_in_for = User { name: name.into(), uid, groups: all, extra: wanted.extra };
        trail.impersonates(&stood_in_for, self.constraint(&user, account.is_some()));
        Ok(stood_in_for)
    }

    /// The way in which the server tells that somebody may stand in for others, where he has the newer verbs as well.
    fn constraint(&self, user: &User, account: bool) -> Option<&'static str> {
        let (verb, resource) = if account {
            ("impersonate:serviceaccount", "serviceaccounts")
        } else {
            ("impersonate:user-info", "users")
        };
        let deed = Deed::Resource {
            verb,
            group: "authentication.k8s.io",
            resource,
            subresource: "",
            namespace: "",
            name: "",
        };
        authorize::reason(&self.api, user, deed).map(|_| verb)
    }
}
