//! Values behind a word of their own and without a separator: elements, flags, directives, statements of SQL.

use std::ops::Range;

use super::super::name::{is_sensitive_entry, refers, tells_nothing};
use super::{Name, Scan, is_blank, is_name, is_password_flag, is_placeholder, is_value_name};

/// How a program takes the value of a flag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// `-pVALUE`
    Attached,
    /// `-p VALUE`
    Apart,
    Either,
}

/// Programs whose flags for passwords do not say so.
const PROGRAMS: [(&str, &str, Taken); 7] = [
    ("mysql", "-p", Taken::Attached),
    ("mariadb", "-p", Taken::Attached),
    ("sshpass", "-p", Taken::Either),
    ("mongo", "-p", Taken::Apart),
    ("redis-cli", "-a", Taken::Apart),
    ("ldap", "-w", Taken::Apart),
    ("login", "-p", Taken::Apart),
];

/// No command stands further from its flags.
const COMMAND_MAX: usize = 512;

/// Where in an argument of a command a password stands: behind `--password` in the argument before it, or behind a flag that
/// the program is known to take one with. The list of arguments begins with the program, where that is known.
pub fn password_in_argument(program: &str, before: Option<&str>, argument: &str) -> Option<Range<usize>> {
    let whole = 0..argument.len();
    let stands_for_itself = !argument.starts_with(['-', '$']);
    let is_behind =
        |flag: &str| is_password_flag(flag) || short_flag(program, flag).is_some_and(|it| it.is_none());
    if let Some(flag) = before.filter(|flag| stands_for_itself && is_behind(flag)) {
        return (!tells_nothing(flag, argument)).then_some(whole);
    }
    let start = short_flag(program, argument)??;
    let value = argument.get(start..)?;
    (!is_placeholder(value) && !tells_nothing("password", value)).then_some(start..argument.len())
}

/// Whether an argument is a flag with which the program takes a password, and where the value begins: behind the flag in
/// the same argument, or (nothing) in the next one.
fn short_flag(program: &str, argument: &str) -> Option<Option<usize>> {
    PROGRAMS.iter().filter(|(name, ..)| program.contains(name)).find_map(|(_, flag, taken)| {
        let value = argument.strip_prefix(flag)?;
        match (taken, value.is_empty()) {
            (Taken::Apart | Taken::Either, true) => Some(None),
            (Taken::Attached | Taken::Either, false) => Some(Some(flag.len())),
            (Taken::Attached, true) | (Taken::Apart, false) => None,
        }
    })
}

impl<'t> Scan<'t> {
    /// `<password>VALUE</password>`, and `<name>password</name> <value>VALUE</value>`.
    pub(super) fn element(&mut self) {
        let Some(Name { name, quoted: false, spaced: false, .. }) = self.name_before(self.position) else {
            return;
        };
        let open = self.position - name.len();
        let opens = open.checked_sub(1).and_then(|at| self.at(at)) == Some(b'<');
        let before = || self.slice(self.char_start(open)..open.saturating_sub(1));
        let name = match name {
            "value" if opens => {
                let named = before().trim_end().strip_suffix("</name>").and_then(|it| it.rsplit('>').next());
                named.unwrap_or(name).trim()
            }
            name => name,
        };
        if !opens || !is_value_name(name) {
            return;
        }
        let start = self.position + 1;
        let end = self.skip(start, |byte| byte != b'<');
        let value = self.slice(start..end);
        let inner = start + (value.len() - value.trim_start().len());
        self.take(name, inner..inner + value.trim().len());
    }

    /// Where a slice that ends at a place may begin, not further than a command stands from its flags.
    fn char_start(&self, end: usize) -> usize {
        let mut start = end.saturating_sub(COMMAND_MAX);
        while !self.text.is_char_boundary(start) {
            start += 1;
        }
        start
    }

    /// `--password VALUE`, the password of `curl -u USER:PASSWORD`, and the short flags of other programs.
    pub(super) fn flag(&mut self) {
        let start = self.position;
        let before = start.checked_sub(1).and_then(|at| self.at(at));
        if before.is_some_and(|byte| !byte.is_ascii_whitespace() && !b"\"'`[,".contains(&byte)) {
            return;
        }
        let end = self.skip(start, is_name);
        if self.program_flag(start) {
            return;
        }
        self.position = end.max(start + 1) - 1;
        let value = self.skip(end, is_blank);
        if value == end || self.at(value) == Some(b'-') {
            return;
        }
        let flag = self.slice(start..end);
        if flag.starts_with("--") && is_password_flag(flag) {
            let (value, end) = self.argument(value);
            self.take(flag, value..end);
        } else if matches!(flag, "-u" | "--user") && self.text.contains("curl") {
            let (value, end) = self.argument(value);
            let Some(colon) = self.slice(value..end).find(':') else { return };
            self.take(flag, value + colon + 1..end);
        }
    }

    /// Takes what stands behind the flag of a program that is known by its name alone.
    fn program_flag(&mut self, start: usize) -> bool {
        let flag = self.slice(start..start + 2);
        if !PROGRAMS.iter().any(|(_, known, _)| *known == flag) {
            return false;
        }
        let line = self.slice(self.line.max(self.char_start(start))..start);
        let command = line.rsplit([';', '|', '&']).next().unwrap_or(line);
        // What sshpass runs has flags of its own.
        let program = match command.rsplit_once("sshpass") {
            Some((_, rest)) if rest.split_whitespace().all(|word| word.starts_with('-')) => "sshpass",
            Some((_, rest)) => rest,
            None => command,
        };
        let (_, end) = self.argument(start);
        let end = match self.at(start + 2) {
            Some(quote @ (b'"' | b'\'')) => self.skip(start + 3, |byte| byte != quote && byte != b'\n'),
            _ => end,
        };
        let value = match short_flag(program, self.slice(start..end)) {
            None => return false,
            Some(Some(length)) => self.argument(start + length),
            Some(None) => {
                let value = self.skip(end, is_blank);
                if value == end || self.at(value) == Some(b'-') {
                    return false;
                }
                self.argument(value)
            }
        };
        self.take(flag, value.0..value.1);
        true
    }

    /// Where an argument of a shell begins and ends, without its quotes.
    fn argument(&self, start: usize) -> (usize, usize) {
        let ends = |byte: u8| byte.is_ascii_whitespace() || b"\"'`;|&)".contains(&byte);
        match self.at(start) {
            Some(quote @ (b'"' | b'\'')) => {
                (start + 1, self.skip(start + 1, |byte| byte != quote && byte != b'\n'))
            }
            _ => (start, self.skip(start, |byte| !ends(byte))),
        }
    }

    /// What has no separator: lines of redis.conf and ldap.conf, the `password` behind the `login` of .netrc, and
    /// PostgreSQL's `PASSWORD 'VALUE'`.
    pub(super) fn directive(&mut self) {
        let start = self.position;
        for directive in ["requirepass", "masterauth", "bindpw", "rootpw"] {
            let end = start + directive.len();
            let value = self.skip(end, is_blank);
            if self.slice(start..end) != directive || value == end {
                continue;
            }
            if self.slice(self.line.max(self.char_start(start))..start).trim().is_empty() {
                let line_end = self.line_end(value);
                let text = self.slice(value..line_end).trim_end();
                let inner = text.trim_matches(['"', '\'']);
                let value = value + (text.len() - text.trim_start_matches(['"', '\'']).len());
                return self.take(directive, value..value + inner.len());
            }
        }
        let Some(end) = self.word("password") else { return };
        let value = self.skip(end, is_blank);
        if value > end && self.slice(self.line.max(self.char_start(start))..start).contains("login ") {
            return self.take("password", value..self.skip(value, |byte| !byte.is_ascii_whitespace()));
        }
        let value = self.skip(end, |byte| is_blank(byte) || byte == b'(');
        if value > end && self.at(value) == Some(b'\'') {
            self.quoted("password", value);
        }
    }

    /// MySQL's and Oracle's `IDENTIFIED BY 'VALUE'`, with the name of a plugin or without.
    pub(super) fn identified(&mut self) {
        let Some(end) = self.word("identified") else { return };
        let mut position = end;
        // `WITH PLUGIN BY PASSWORD` are the words that may stand there.
        for _ in 0..5 {
            position = self.skip(position, is_blank);
            if matches!(self.at(position), Some(b'\'' | b'"' | b'\\')) {
                self.quoted("password", position);
                return;
            }
            position = self.skip(position, is_name);
        }
    }

    /// The end of a word in either case that begins at the position and is no part of another one.
    fn word(&self, word: &str) -> Option<usize> {
        let start = self.position;
        let end = start + word.len();
        let is_part = |at: Option<usize>| at.and_then(|at| self.at(at)).is_some_and(is_name);
        let found = self.slice(start..end).eq_ignore_ascii_case(word);
        (found && !is_part(start.checked_sub(1)) && !is_part(Some(end))).then_some(end)
    }

    /// `proxy_set_header NAME VALUE;` of nginx, and `http-request set-header NAME VALUE` of HAProxy.
    pub(super) fn set_header(&mut self) {
        const LENGTH: usize = "set_header".len();
        let start = self.position;
        let end = start + LENGTH;
        if !matches!(self.slice(start..end), "set_header" | "set-header") {
            return;
        }
        let header = self.skip(end, is_blank);
        let header_end = self.skip(header, is_name);
        let mut value = self.skip(header_end, is_blank);
        let name = self.slice(header..header_end);
        if header == end || value == header_end || !is_sensitive_entry(name) || refers(name) {
            return;
        }
        let is_quoted = |byte: &u8| matches!(byte, b'"' | b'\'');
        let quote = self.at(value).filter(is_quoted);
        value += usize::from(quote.is_some());
        let ends = |byte: u8| byte == b'\n' || quote.map_or(byte == b';', |quote| byte == quote);
        let end = self.skip(value, |byte| !ends(byte));
        // The scheme of `Authorization` is nothing to hide.
        let scheme =
            self.slice(value..end).find(' ').filter(|_| name.to_ascii_lowercase().ends_with("authorization"));
        value += scheme.map_or(0, |blank| blank + 1);
        let text = self.slice(value..end).trim_end();
        self.take(name, value..value + text.len());
    }
}
