//! URLs, IP addresses and networks, as Go's `net/url` and `net/netip` read them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use trueup_object::value::Text;

use crate::eval::{EvalError, Evaluated, failed};
use crate::value::{Key, Val};

/// The parts of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    scheme: String,
    /// With the port.
    host: String,
    path: String,
    query: String,
    fragment: String,
}

/// A network: an address and how many of its bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

pub(super) fn call(function: &str, args: &[Val]) -> Option<Evaluated> {
    Some(match (function, args) {
        ("url", [Val::String(text)]) => match parse_url(text) {
            Ok(url) => Ok(Val::Url(Arc::new(url))),
            Err(words) => failed(format!("URL parse error during conversion from string: {words}")),
        },
        ("isURL", [Val::String(text)]) => Ok(Val::Bool(parse_url(text).is_ok())),
        (_, [Val::Url(url)]) => return of_url(function, url),
        ("ip", [Val::String(text)]) => parse_ip(text).map(Val::Ip).or_else(failed),
        ("isIP", [Val::String(text)]) => Ok(Val::Bool(parse_ip(text).is_ok())),
        ("ip.isCanonical", [Val::String(text)]) => {
            parse_ip(text).map(|it| Val::Bool(it.to_string() == text.as_str())).or_else(failed)
        }
        (_, [Val::Ip(address)]) => return of_ip(function, *address),
        ("cidr", [Val::String(text)]) => network(text).map(Val::Cidr),
        ("isCIDR", [Val::String(text)]) => Ok(Val::Bool(parse_network(text).is_ok())),
        ("ip", [Val::Cidr(it)]) => Ok(Val::Ip(it.address)),
        ("prefixLength", [Val::Cidr(it)]) => Ok(Val::Int(i64::from(it.prefix))),
        ("masked", [Val::Cidr(it)]) => Ok(Val::Cidr(it.masked())),
        ("containsIP", [Val::Cidr(it), Val::Ip(address)]) => Ok(Val::Bool(it.contains(*address))),
        ("containsIP", [Val::Cidr(it), Val::String(text)]) => {
            // A text that is no address is no value that the function takes.
            parse_ip(text).map_or_else(failed, |address| Ok(Val::Bool(it.contains(address))))
        }
        ("containsCIDR", [Val::Cidr(it), Val::Cidr(other)]) => Ok(Val::Bool(it.covers(other))),
        ("containsCIDR", [Val::Cidr(it), Val::String(text)]) => {
            network(text).map(|other| Val::Bool(it.covers(&other)))
        }
        _ => return None,
    })
}

fn of_url(function: &str, url: &Url) -> Option<Evaluated> {
    let text = |text: &str| Ok(Val::text(text));
    Some(match function {
        "getScheme" => text(&url.scheme),
        "getHost" => text(&url.host),
        "getHostname" => text(url.host_and_port().0),
        "getPort" => text(url.host_and_port().1),
        "getEscapedPath" => text(&escaped(&url.path)),
        "getQuery" => {
            let entries = url.queries().into_iter().map(|(name, values)| {
                let values = values.iter().map(|value| Val::text(value)).collect();
                (Key::String(Text::from(name)), Val::list(values))
            });
            Ok(Val::map(entries))
        }
        _ => return None,
    })
}

fn of_ip(function: &str, address: IpAddr) -> Option<Evaluated> {
    let holds = match function {
        "family" => return Some(Ok(Val::Int(if address.is_ipv4() { 4 } else { 6 }))),
        "isUnspecified" => address.is_unspecified(),
        "isLoopback" => address.is_loopback(),
        "isLinkLocalMulticast" => match address {
            IpAddr::V4(it) => it.octets().starts_with(&[224, 0, 0]),
            IpAddr::V6(it) => it.segments()[0] & 0xff0f == 0xff02,
        },
        "isLinkLocalUnicast" => is_link_local(address),
        "isGlobalUnicast" => {
            !address.is_unspecified()
                && !address.is_loopback()
                && !address.is_multicast()
                && !is_link_local(address)
                && address != IpAddr::V4(Ipv4Addr::BROADCAST)
        }
        _ => return None,
    };
    Some(Ok(Val::Bool(holds)))
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => it.is_link_local(),
        IpAddr::V6(it) => it.segments()[0] & 0xffc0 == 0xfe80,
    }
}

/// An address; not one with a zone, nor one of IPv4 that is written as one of IPv6.
fn parse_ip(text: &str) -> Result<IpAddr, String> {
    let first = text.find(['.', ':', '%']).and_then(|at| text.as_bytes().get(at));
    let parsed = match first {
        Some(b'.') => parse_v4(text).map(IpAddr::V4).map_err(|words| format!("ParseAddr({text:?}): {words}")),
        Some(b':') => {
            let address = text.split_once('%').map_or(text, |(address, _)| address);
            address.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| v6_problem(text))
        }
        Some(_) => Err(format!("ParseAddr({text:?}): missing IPv6 address")),
        None => Err(format!("ParseAddr({text:?}): unable to parse IP")),
    };
    let address = parsed
        .map_err(|words| format!("IP Address {text:?} parse error during conversion from string: {words}"))?;
    if text.contains('%') {
        return Err(format!("IP address {text:?} with zone value is not allowed"));
    }
    if is_mapped(address) {
        return Err(format!("IPv4-mapped IPv6 address {text:?} is not allowed"));
    }
    Ok(address)
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(it) if it.to_ipv4_mapped().is_some())
}

fn v6_problem(text: &str) -> String {
    let words = if text.matches("::").count() > 1 {
        format!(
            "multiple :: in address (at {:?})",
            text.rfind("::").and_then(|at| text.get(at..)).unwrap_or(text)
        )
    } else if text.matches(':').count() > 7 {
        "trailing garbage after address".to_owned()
    } else {
        match text.find(|it: char| !it.is_ascii_hexdigit() && it != ':' && it != '.') {
            Some(at) => format!(
                "each colon-separated field must have at least one digit (at {:?})",
                text.get(at..).unwrap_or(text)
            ),
            None => "address string too short".to_owned(),
        }
    };
    format!("ParseAddr({text:?}): {words}")
}

fn parse_v4(text: &str) -> Result<Ipv4Addr, String> {
    let mut octets = Vec::with_capacity(4);
    for (index, field) in text.split('.').enumerate() {
        if index > 3 {
            return Err("IPv4 address too long".to_owned());
        }
        if let Some(at) = field.find(|it: char| !it.is_ascii_digit()) {
            let from = text.find(field).unwrap_or_default() + at;
            return Err(format!("unexpected character (at {:?})", text.get(from..).unwrap_or_default()));
        }
        if field.is_empty() {
            let words = "IPv4 field must have at least one digit";
            return Err(format!("{words} (at {text:?})"));
        }
        if field.len() > 1 && field.starts_with('0') {
            return Err("IPv4 field has octet with leading zero".to_owned());
        }
        octets.push(field.parse::<u8>().map_err(|_| "IPv4 field has value >255".to_owned())?);
    }
    <[u8; 4]>::try_from(octets).map(Ipv4Addr::from).map_err(|_| "IPv4 address too short".to_owned())
}

/// The words of the reader stand twice, as the server has it.
fn network(text: &str) -> Result<Network, EvalError> {
    parse_network(text).or_else(|words| {
        failed(format!("network address parse error during conversion from string: {words}"))
    })
}

fn parse_network(text: &str) -> Result<Network, String> {
    let wrong = |words: &str| {
        let inner = format!("netip.ParsePrefix({text:?}): {words}");
        format!("network address parse error during conversion from string: {inner}")
    };
    let (address, bits) = text.rsplit_once('/').ok_or_else(|| wrong("no '/'"))?;
    let address: IpAddr = match address.parse() {
        Ok(address) => address,
        Err(_) if address.contains('.') && !address.contains(':') => {
            let words = parse_v4(address).err().unwrap_or_default();
            return Err(wrong(&format!("ParseAddr({address:?}): {words}")));
        }
        Err(_) => return Err(wrong(&format!("ParseAddr({address:?}): unable to parse IP"))),
    };
    let is_number = !bits.is_empty() && bits.bytes().all(|it| it.is_ascii_digit());
    let prefix: Option<u8> =
        if is_number && (bits == "0" || !bits.starts_with('0')) { bits.parse().ok() } else { None };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(prefix) if prefix <= most => prefix,
        None if !is_number || bits.starts_with('0') => {
            return Err(wrong(&format!("bad bits after slash: {bits:?}")));
        }
        Some(_) | None => return Err(wrong("prefix length out of range")),
    };
    if is_mapped(address) {
        return Err(format!("IPv4-mapped IPv6 address {text:?} is not allowed"));
    }
    Ok(Network { address, prefix })
}

impl Network {
    fn bits(address: IpAddr) -> (u128, u32) {
        match address {
            IpAddr::V4(it) => (u128::from(it.to_bits()) << 96, 32),
            IpAddr::V6(it) => (it.to_bits(), 128),
        }
    }

    fn mask(prefix: u8) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0)
    }

    fn contains(&self, address: IpAddr) -> bool {
        let ((own, own_size), (other, other_size)) = (Self::bits(self.address), Self::bits(address));
        own_size == other_size && (own ^ other) & Self::mask(self.prefix) == 0
    }

    fn covers(&self, other: &Network) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }

    fn masked(&self) -> Self {
        let (bits, size) = Self::bits(self.address);
        let bits = bits & Self::mask(self.prefix);
        let address = if size == 32 {
            IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits >> 96).unwrap_or_default()))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        };
        Self { address, prefix: self.prefix }
    }
}

impl Url {
    fn host_and_port(&self) -> (&str, &str) {
        if let Some(rest) = self.host.strip_prefix('[')
            && let Some((address, port)) = rest.split_once(']')
        {
            return (address, port.strip_prefix(':').unwrap_or_default());
        }
        self.host.rsplit_once(':').unwrap_or((&self.host, ""))
    }

    fn queries(&self) -> BTreeMap<String, Vec<String>> {
        let mut queries: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pair in self.query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let (Some(name), Some(value)) = (unescaped(name), unescaped(value)) {
                queries.entry(name).or_default().push(value);
            }
        }
        queries
    }
}

/// A part of a query with its escapes resolved; nothing where one is broken.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A path with what may not stand in one escaped.
fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:@/%[]".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// The problem of a text that is no URL for a request, which is absolute or begins with a slash.
pub(super) fn url_problem(text: &str) -> Option<String> {
    parse_url(text).err()
}

fn parse_url(text: &str) -> Result<Url, String> {
    let wrong = |words: String| format!("parse {text:?}: {words}");
    if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return Err(wrong("net/url: invalid control character in URL".to_owned()));
    }
    if text.is_empty() {
        return Err(wrong("empty url".to_owned()));
    }
    let (scheme, rest) = scheme_of(text).map_err(wrong)?;
    let (before, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (before, query) = before.split_once('?').unwrap_or((before, ""));
    if !before.starts_with('/') && scheme.is_empty() {
        return Err(wrong("invalid URI for request".to_owned()));
    }
    let mut url = Url {
        scheme: scheme.to_lowercase(),
        host: String::new(),
        path: String::new(),
        query: query.to_owned(),
        fragment: fragment.to_owned(),
    };
    if !before.starts_with('/') {
        // What has no slash after its scheme is opaque.
        return Ok(url);
    }
    let path = match before.strip_prefix("//") {
        Some(after) if !scheme.is_empty() || !before.starts_with("///") => {
            let (authority, path) = after.find('/').map_or((after, ""), |at| after.split_at(at));
            if scheme.is_empty() {
                before
            } else {
                let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                check_host(host).map_err(wrong)?;
                url.host = host.to_owned();
                path
            }
        }
        Some(_) | None => before,
    };
    check_escapes(path).map_err(wrong)?;
    url.path = path.to_owned();
    Ok(url)
}

fn scheme_of(text: &str) -> Result<(&str, &str), String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default())),
            _ => break,
        }
    }
    let first = text.split('/').next().unwrap_or_default();
    if first.contains(':') && !text.starts_with('/') {
        return Err("first path segment in URL cannot contain colon".to_owned());
    }
    Ok(("", text))
}

fn check_host(host: &str) -> Result<(), String> {
    if let Some(bad) =
        host.chars().find(|it| matches!(it, ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}'))
    {
        return Err(format!("invalid character {:?} in host name", bad.to_string()));
    }
    let port = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((_, port)) => port,
            None => return Err("missing ']' in host".to_owned()),
        },
        None => host.find(':').and_then(|at| host.get(at..)).unwrap_or_default(),
    };
    let digits = port.strip_prefix(':');
    match digits {
        _ if port.is_empty() => {}
        Some(digits) if digits.bytes().all(|it| it.is_ascii_digit()) => {}
        Some(_) | None => return Err(format!("invalid port {port:?} after host")),
    }
    check_escapes(host)
}

fn check_escapes(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('%') {
        let digits = text.as_bytes().get(at + 1..at + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            let end = (at + 3).min(text.len());
            let shown = text.get(at..end).or_else(|| text.get(at..)).unwrap_or_default();
            return Err(format!("invalid URL escape {shown:?}"));
        }
    }
    Ok(())
}
