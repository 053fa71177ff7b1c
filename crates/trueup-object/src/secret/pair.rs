//! Sensitive values in a text that stand beside their names: JSON, YAML, INI and properties in a ConfigMap, XML, command
//! lines, connection strings, headers.
//!
//! No format is parsed, since the text may be a template of one or have several in it. A name is what stands before a
//! separator, and its value what stands behind it, as far as the quotes or the end of the line; the names are those of
//! [`is_sensitive_name`], without those that only tell of a value. What stands for a value (`$PASSWORD`, `{{ .token }}`)
//! is none.

use std::ops::Range;

use super::name::{is_sensitive_name, refers, tells_nothing};

/// No name is longer.
const NAME_MAX: usize = 100;

/// The end of a quoted value or of a list is looked for within this, so that no text takes more than its length in steps.
const VALUE_MAX: usize = 64 << 10;

/// Where a text holds values of sensitive names, in order, without overlaps.
pub fn pairs(text: &str) -> Vec<Range<usize>> {
    let mut scan = Scan { text, bytes: text.as_bytes(), found: Vec::new(), position: 0, line: 0 };
    // No pair is shorter: `pwd=x`.
    if text.len() >= 5 {
        scan.run();
    }
    scan.found
}

/// Whether a text is a flag whose value is the next argument: `--password`.
pub fn is_password_flag(argument: &str) -> bool {
    let name = argument.trim_start_matches('-');
    argument.starts_with('-') && name.bytes().all(is_name) && is_value_name(name)
}

fn is_value_name(name: &str) -> bool {
    is_sensitive_name(name) && !refers(name)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether a text stands for a value that is elsewhere, or was taken out already.
fn is_placeholder(value: &str) -> bool {
    let mut chars = value.chars();
    match (chars.next(), chars.next()) {
        (None, _) => true,
        (Some('$'), Some(next)) => next.is_alphabetic() || matches!(next, '(' | '{' | '_' | '$'),
        (Some('%'), Some('(' | '{')) | (Some('{'), Some('{' | '%')) => true,
        (Some('<'), _) => value.ends_with('>'),
        (Some(first @ ('*' | '+' | '.')), _) => value.chars().all(|char| char == first),
        (Some(_), _) => false,
    }
}

/// How a name is separated from its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    Colon,
    Equals,
}

/// What stands before a separator.
struct Name<'t> {
    name: &'t str,
    /// It is in quotes of its own: JSON.
    quoted: bool,
    /// What stands before it on its line; nothing at the line's start.
    before: Option<u8>,
    /// Blanks stand between it and the separator.
    spaced: bool,
}

struct Scan<'t> {
    text: &'t str,
    bytes: &'t [u8],
    found: Vec<Range<usize>>,
    position: usize,
    /// Where the line of the position starts.
    line: usize,
}

impl<'t> Scan<'t> {
    fn run(&mut self) {
        while let Some(byte) = self.bytes.get(self.position).copied() {
            let before = self.position;
            match byte {
                b':' => self.after(Separator::Colon),
                b'=' => self.after(Separator::Equals),
                b'>' => self.element(),
                b'-' => self.flag(),
                b'r' | b'm' => self.directive(),
                _ => {}
            }
            self.position = self.position.max(before + 1);
            // What was gone over is gone over once: a text takes its length in steps, however it is made.
            let passed = self.bytes.get(before..self.position).unwrap_or_default();
            if let Some(newline) = passed.iter().rposition(|byte| *byte == b'\n') {
                self.line = before + newline + 1;
            }
        }
    }

    fn at(&self, position: usize) -> Option<u8> {
        self.bytes.get(position).copied()
    }

    fn slice(&self, range: Range<usize>) -> &'t str {
        self.text.get(range).unwrap_or_default()
    }

    /// Takes a value, unless it is none, and goes on behind it.
    fn take(&mut self, name: &str, range: Range<usize>) {
        self.position = self.position.max(range.end);
        let value = self.slice(range.clone());
        if !is_placeholder(value) && !tells_nothing(name, value) {
            self.found.push(range);
        }
    }

    fn skip(&self, mut position: usize, skipped: impl Fn(u8) -> bool) -> usize {
        while self.at(position).is_some_and(&skipped) {
            position += 1;
        }
        position
    }

    fn line_end(&self, start: usize) -> usize {
        self.skip(start, |byte| byte != b'\n')
    }

    /// The name before a separator.
    fn name_before(&self, separator: usize) -> Option<Name<'t>> {
        let back = |mut end: usize, wanted: &dyn Fn(u8) -> bool| {
            let limit = end.saturating_sub(NAME_MAX);
            while end > limit && self.at(end - 1).is_some_and(wanted) {
                end -= 1;
            }
            end
        };
        let mut end = back(separator, &is_blank);
        let spaced = end < separator;
        let quote = end.checked_sub(1).and_then(|at| self.at(at)).filter(|it| matches!(it, b'"' | b'\''));
        if quote.is_some() {
            end = back(end - 1, &|byte| byte == b'\\');
        }
        let start = back(end, &is_name);
        let name = self.slice(start..end).trim_start_matches('-');
        if name.is_empty() {
            return None;
        }
        let before = start.checked_sub(1).and_then(|at| self.at(at));
        let quoted = quote.is_some() && before == quote;
        if quote.is_some() && !quoted {
            return None;
        }
        Some(Name { name, quoted, before: self.significant_before(start), spaced })
    }

    /// What stands before a position on its line, blanks, a list's dash and `export` apart.
    fn significant_before(&self, start: usize) -> Option<u8> {
        let line = self.slice(self.line..start);
        let rest = line.trim_matches(|char| matches!(char, ' ' | '\t' | '-' | '\r'));
        let rest = rest.strip_suffix("export").or_else(|| rest.strip_suffix("ENV")).unwrap_or(rest);
        rest.trim_end().bytes().last()
    }

    fn after(&mut self, separator: Separator) {
        let at = self.position;
        let Some(name) = self.name_before(at) else { return };
        let mut start = at + 1;
        if separator == Separator::Equals {
            match self.at(start) {
                Some(b'>') if name.quoted => start += 1,
                Some(b'=' | b'>' | b'~') => return,
                _ => {}
            }
        }
        let is_header = ["authorization", "proxy-authorization"]
            .iter()
            .any(|header| header.eq_ignore_ascii_case(name.name));
        if is_header {
            self.header(&name, start);
        } else if is_value_name(name.name) {
            self.value(&name, separator, start);
        }
    }

    /// `Authorization: SCHEME CREDENTIALS`; a single word is a setting of the same name.
    fn header(&mut self, name: &Name<'t>, start: usize) {
        let start = self.skip(start, |byte| is_blank(byte) || matches!(byte, b'"' | b'\'' | b'\\'));
        let scheme = self.skip(start, is_name);
        let value = self.skip(scheme, is_blank);
        let ends = |byte: u8| matches!(byte, b'\n' | b'\r' | b'"' | b'\'' | b'\\');
        let end = self.skip(value, |byte| !ends(byte));
        if scheme > start && value > scheme {
            self.take(name.name, value..end);
        }
    }

    fn value(&mut self, name: &Name<'t>, separator: Separator, after: usize) {
        let start = self.skip(after, is_blank);
        let is_flow = matches!(name.before, Some(b'{' | b',' | b'['));
        let in_quotes = name.before.filter(|byte| !name.quoted && matches!(byte, b'"' | b'\'' | b'`'));
        let starts = name.before.is_none() || is_flow || in_quotes.is_some() || name.quoted;
        // `token: abc` in the middle of a sentence is prose, and `secret:1.2` the tag of an image.
        let is_pair = match separator {
            Separator::Colon => {
                let parted = start > after || self.at(start).is_none_or(|byte| b"\"'\\\n\r[".contains(&byte));
                starts && (parted || name.quoted)
            }
            Separator::Equals => starts || !name.spaced,
        };
        if !is_pair {
            return;
        }
        match self.at(start) {
            Some(b'"' | b'\'' | b'\\') => {
                self.quoted(name.name, start);
            }
            Some(b'[') => self.list(name.name, start),
            Some(b'|' | b'>') if separator == Separator::Colon => self.block(name.name, start),
            None | Some(b'\n' | b'\r') if separator == Separator::Colon => self.items(name.name, start),
            // What has names of its own, an anchor or a type.
            Some(b'{' | b'&' | b'!') if separator == Separator::Colon => {}
            _ => {
                let end = self.bare_end(name, separator, start, is_flow, in_quotes);
                self.take(name.name, start..end);
            }
        }
    }

    /// The end of a value without quotes.
    fn bare_end(
        &self,
        name: &Name<'t>,
        separator: Separator,
        start: usize,
        is_flow: bool,
        in_quotes: Option<u8>,
    ) -> usize {
        let at_line_start = name.before.is_none();
        let to_line_end = match separator {
            Separator::Colon => true,
            // In a file a line holds one pair; a command goes on behind a blank.
            Separator::Equals => at_line_start && (name.spaced || self.text.trim_end().contains('\n')),
        };
        let ends = |byte: u8| match byte {
            b'\n' | b'\r' => true,
            byte if Some(byte) == in_quotes => true,
            b',' | b'}' | b']' if is_flow || name.quoted => true,
            byte if !to_line_end => byte.is_ascii_whitespace() || b"&;\"'`)|<>".contains(&byte),
            _ => false,
        };
        let end = self.skip(start, |byte| !ends(byte));
        let value = self.slice(start..end);
        // A comment, and what a list of pairs goes on with.
        let value = value.split(" #").next().unwrap_or(value).trim_end();
        let value = if to_line_end { value } else { before_next_pair(value) };
        start + value.len()
    }

    /// A value in quotes, which may be escaped as the text that it stands in is. Gives the place behind it.
    fn quoted(&mut self, name: &str, start: usize) -> usize {
        let quote_at = self.skip(start, |byte| byte == b'\\');
        let Some(quote @ (b'"' | b'\'')) = self.at(quote_at) else { return quote_at + 1 };
        let escapes = quote_at - start;
        let value = quote_at + 1;
        let limit = self.bytes.len().min(value + VALUE_MAX);
        let mut position = value;
        let mut run = 0;
        while position < limit {
            match self.at(position) {
                Some(b'\\') => run += 1,
                // YAML's `''` is a quote in a value.
                Some(b'\'') if quote == b'\'' && position > value && self.at(position + 1) == Some(b'\'') => {
                    position += 1;
                }
                Some(byte) if byte == quote && closes(run, escapes, quote) => break,
                _ => run = 0,
            }
            position += 1;
        }
        if position >= limit {
            let end = self.line_end(value);
            self.take(name, value..end);
            return end;
        }
        self.take(name, value..position - run.min(escapes));
        position + 1
    }

    /// Every scalar of `[a, "b"]`, over lines.
    fn list(&mut self, name: &str, start: usize) {
        let mut position = start + 1;
        let limit = self.bytes.len().min(start + VALUE_MAX);
        while position < limit {
            match self.at(position) {
                None | Some(b']' | b'{' | b'[') => return,
                Some(b'"' | b'\'' | b'\\') => position = self.quoted(name, position),
                Some(byte) if byte.is_ascii_whitespace() || byte == b',' => position += 1,
                Some(_) => {
                    let end = self.skip(position, |byte| !b",]\n\r".contains(&byte));
                    let value = self.slice(position..end).trim_end();
                    self.take(name, position..position + value.len());
                    position = end;
                }
            }
            self.position = self.position.max(position);
        }
    }

    /// The lines of `|` and `>`, which stand further in than their name.
    fn block(&mut self, name: &str, start: usize) {
        let head_end = self.line_end(start);
        let is_head =
            self.slice(start + 1..head_end).trim_end().bytes().all(|it| b"+-0123456789".contains(&it));
        if !is_head {
            let end = head_end;
            return self.take(name, start..start + self.slice(start..end).trim_end().len());
        }
        let indent = self.indent(self.line);
        let mut first = None;
        let mut end = head_end;
        let mut line = head_end + 1;
        while line < self.bytes.len() {
            let line_end = self.line_end(line);
            let text = self.slice(line..line_end);
            if !text.trim().is_empty() {
                if self.indent(line) <= indent {
                    break;
                }
                first = first.or(Some(line + self.indent(line)));
                end = line + text.trim_end().len();
            }
            line = line_end + 1;
        }
        if let Some(first) = first {
            self.take(name, first..end);
        }
    }

    /// The scalars of a YAML list below its name.
    fn items(&mut self, name: &str, start: usize) {
        let indent = self.indent(self.line);
        let mut line = self.line_end(start) + 1;
        while line < self.bytes.len() {
            let line_end = self.line_end(line);
            let dash = line + self.indent(line);
            let item = self.skip(dash + 1, is_blank);
            if dash < line + indent || self.at(dash) != Some(b'-') || item == dash + 1 {
                return;
            }
            let value = self.slice(item..line_end).trim_end();
            if value.contains(": ") || value.ends_with(':') || value.starts_with(['{', '[', '-']) {
                return;
            }
            if value.starts_with(['"', '\'']) {
                self.quoted(name, item);
            } else {
                self.take(name, item..item + value.len());
            }
            line = line_end + 1;
            self.position = self.position.max(line_end);
        }
    }

    fn indent(&self, line: usize) -> usize {
        self.skip(line, |byte| byte == b' ') - line
    }

    /// `<password>VALUE</password>`
    fn element(&mut self) {
        let Some(Name { name, quoted: false, spaced: false, .. }) = self.name_before(self.position) else {
            return;
        };
        let open = self.position - name.len();
        let opens = open.checked_sub(1).and_then(|at| self.at(at)) == Some(b'<');
        if !opens || !is_value_name(name) {
            return;
        }
        let start = self.position + 1;
        let end = self.skip(start, |byte| byte != b'<');
        let value = self.slice(start..end);
        let inner = start + (value.len() - value.trim_start().len());
        self.take(name, inner..inner + value.trim().len());
    }

    /// `--password VALUE`, and the password of `curl -u USER:PASSWORD`.
    fn flag(&mut self) {
        let start = self.position;
        let before = start.checked_sub(1).and_then(|at| self.at(at));
        if before.is_some_and(|byte| !byte.is_ascii_whitespace() && !b"\"'`[,".contains(&byte)) {
            return;
        }
        let end = self.skip(start, is_name);
        self.position = end.max(start + 1) - 1;
        let value = self.skip(end, is_blank);
        if value == end || self.at(value) == Some(b'-') {
            return;
        }
        let flag = self.slice(start..end);
        let ends = |byte: u8| byte.is_ascii_whitespace() || b"\"'`;|&)".contains(&byte);
        let (value, value_end) = match self.at(value) {
            Some(quote @ (b'"' | b'\'')) => {
                (value + 1, self.skip(value + 1, |byte| byte != quote && byte != b'\n'))
            }
            _ => (value, self.skip(value, |byte| !ends(byte))),
        };
        if flag.starts_with("--") && is_password_flag(flag) {
            self.take(flag, value..value_end);
        } else if matches!(flag, "-u" | "--user") && self.text.contains("curl") {
            let Some(colon) = self.slice(value..value_end).find(':') else { return };
            self.take(flag, value + colon + 1..value_end);
        }
    }

    /// The lines of redis.conf that have no separator.
    fn directive(&mut self) {
        let start = self.position;
        for directive in ["requirepass", "masterauth"] {
            let end = start + directive.len();
            let value = self.skip(end, is_blank);
            let is_directive = self.slice(start..end) == directive && value > end;
            if is_directive && self.slice(self.line..start).trim().is_empty() {
                let line_end = self.line_end(value);
                let text = self.slice(value..line_end).trim_end();
                let inner = text.trim_matches(['"', '\'']);
                let value = value + (text.len() - text.trim_start_matches(['"', '\'']).len());
                return self.take(directive, value..value + inner.len());
            }
        }
    }
}

/// Whether a quote after a run of backslashes ends a value whose own quotes have so many of them.
fn closes(run: usize, escapes: usize, quote: u8) -> bool {
    match (escapes, quote) {
        (0, b'\'') => true,
        // An even number are backslashes by themselves.
        (0, _) => run.is_multiple_of(2),
        (_, _) => run == escapes,
    }
}

/// `a=b,c=d`: a comma ends a value where another pair follows.
fn before_next_pair(value: &str) -> &str {
    let next = value.match_indices(',').find(|(at, _)| {
        let rest = value.get(at + 1..).unwrap_or_default();
        let name = rest.bytes().take_while(|byte| is_name(*byte)).count();
        name > 0 && rest.as_bytes().get(name) == Some(&b'=')
    });
    next.map_or(value, |(at, _)| value.get(..at).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        super::super::replace_ranges(text, pairs(text), |_| "#".to_owned()).into_owned()
    }

    #[test]
    fn values_beside_their_names_in_every_format() {
        for (text, wanted) in [
            // Command lines.
            ("--password=hunter2", "--password=#"),
            ("--db.password=hunter2 --port=1", "--db.password=# --port=1"),
            ("run --api-key hunter2 --port 1", "run --api-key # --port 1"),
            ("run --password 'hunter 2' x", "run --password '#' x"),
            ("curl -u app:hunter2 https://a", "curl -u app:# https://a"),
            ("PASSWORD=hunter2 ./run --fast", "PASSWORD=# ./run --fast"),
            ("sh -c 'export DB_PASS=hunter2; run'", "sh -c 'export DB_PASS=#; run'"),
            // Properties, INI, environment files.
            ("a=1\nspring.datasource.password=hunter 2\nb=2\n", "a=1\nspring.datasource.password=#\nb=2\n"),
            ("[db]\npassword = hunter2 ; x\r\nport = 1\r\n", "[db]\npassword = #\r\nport = 1\r\n"),
            ("token = \"hunter2\"\nx = 1\n", "token = \"#\"\nx = 1\n"),
            ("//registry.example.com/:_authToken=hunter2\n", "//registry.example.com/:_authToken=#\n"),
            // YAML.
            ("db:\n  password: hunter2\n  port: 1\n", "db:\n  password: #\n  port: 1\n"),
            ("- name: a\n- password: 'hunter''2' # old\n", "- name: a\n- password: '#' # old\n"),
            ("{user: a, password: hunter2, port: 1}", "{user: a, password: #, port: 1}"),
            (
                "key:\n  private_key: |\n    one\n\n    two\n  b: c\n",
                "key:\n  private_key: |\n    #\n  b: c\n",
            ),
            ("tokens:\n- abc\n- 'def'\nport: 1\n", "tokens:\n- #\n- '#'\nport: 1\n"),
            ("tokens: [abc, \"def\"]\nport: 1\n", "tokens: [#, \"#\"]\nport: 1\n"),
            ("pwd: 12345\n", "pwd: #\n"),
            // JSON, and JSON in JSON.
            (
                "{\"user\":\"a\",\"password\":\"hun\\\"ter2\",\"b\":1}",
                "{\"user\":\"a\",\"password\":\"#\",\"b\":1}",
            ),
            (
                "{\n  \"apiKey\": \"hunter2\",\n  \"pin_token\": 1234\n}",
                "{\n  \"apiKey\": \"#\",\n  \"pin_token\": #\n}",
            ),
            (
                "{\"a\":\"{\\\"token\\\":\\\"hunter2\\\",\\\"b\\\":1}\"}",
                "{\"a\":\"{\\\"token\\\":\\\"#\\\",\\\"b\\\":1}\"}",
            ),
            ("{\"secrets\":[\"a b\",\"c\"],\"d\":1}", "{\"secrets\":[\"#\",\"#\"],\"d\":1}"),
            // XML, PHP, connection strings, addresses, headers, redis.conf.
            ("<server><password>hunter2</password></server>", "<server><password>#</password></server>"),
            ("<db password=\"hunter2\" port=\"1\"/>", "<db password=\"#\" port=\"1\"/>"),
            ("'password' => 'hunter2',", "'password' => '#',"),
            ("Server=db;Password=hunter2;Port=1", "Server=db;Password=#;Port=1"),
            ("host=db password=hunter2 port=1", "host=db password=# port=1"),
            ("user=a,password=b,port=1", "user=a,password=#,port=1"),
            ("https://a/b?token=hunter2&c=d", "https://a/b?token=#&c=d"),
            ("curl -H 'X-Api-Key: hunter2' https://a", "curl -H 'X-Api-Key: #' https://a"),
            ("Authorization: Token hunter2\nAccept: a\n", "Authorization: Token #\nAccept: a\n"),
            ("{\"Authorization\": \"Bearer short\"}", "{\"Authorization\": \"Bearer #\"}"),
            ("port 1\nrequirepass hunter2\n", "port 1\nrequirepass #\n"),
        ] {
            assert_eq!(masked(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_value_is_left() {
        for text in [
            "password: ${DB_PASSWORD}",
            "password: $(DB_PASSWORD)",
            "password={{ .Values.password }}",
            "--password=$DB_PASSWORD",
            "run --password \"$PASSWORD\"",
            "TOKEN=$(cat /run/token)\nrun\n",
            "passwordPolicy: strict\n",
            "tokenExpirationSeconds: 3600\n",
            "secretName: tls\nsecretKeyRef: {name: a, key: b}\n",
            "secretStoreRef:\n  name: vault\n",
            "imagePullSecrets:\n- name: registry\n",
            "max_tokens: 4096\n",
            "\"useToken\": true, \"token\": null",
            "password: \"\"\nuser: a\n",
            "password:\n",
            "password: <your password>\n",
            "password: ********\n",
            "the secret: nobody knows it",
            "example.com/secret:1.2",
            "image: vault-secret:1.2",
            "if token == \"abc\" { return }",
            "proxy_pass http://web;",
            "authorization:\n  mode: Webhook\n",
            "authorization: RBAC\n",
            "--token-file=/run/token",
            "--password-file /run/password",
            "--token --verbose",
            "docker run -u app:app web",
            "x => y",
            "",
            "=",
            ":",
            "password",
            "password=",
            "ü: ü=ü",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn odd_texts_are_gone_through() {
        for text in [
            "password: \"",
            "password=\\",
            "token: [",
            "token: [\"",
            "secret: |",
            "secret: |\n",
            "a\\\"=",
            "--",
            "--password ü",
        ] {
            let _found = masked(text);
        }
        let many = "\"password\": \"x\" ".repeat(5_000);
        assert!(!pairs(&many).is_empty());
        let nested = "password: [".repeat(5_000);
        assert!(!pairs(&nested).is_empty());
    }

    #[test]
    fn a_flag_that_takes_a_password() {
        for flag in ["--password", "--db-password", "-token"] {
            assert!(is_password_flag(flag), "{flag}");
        }
        for flag in ["password", "--password-file", "--password=x", "--port", "--", ""] {
            assert!(!is_password_flag(flag), "{flag}");
        }
    }
}
