//! From text to a program: jaq's reader, then names resolved to parameters, definitions and built-in functions.

use std::sync::{Arc, OnceLock};

use jaq_core::load::lex::{Lexer, StrPart, Tok, Token};
use jaq_core::load::parse::{BinaryOp, Def as ReadDef, Parser, Pattern as ReadPattern, Term};
use jaq_core::ops;
use jaq_core::path::{Opt, Part as PathPart};
use trueup_object::{Text, Value};

use super::native::Native;
use super::syntax::{Access, Compare, Def, Expr, Fold, Format, Math, Part, Pattern};

/// A rule is a line or two; much longer text is no rule, and reading it must not take long either.
const LENGTH_MAX: usize = 4096;
/// Reading nests as its brackets, signs and keywords do.
const NESTING_MAX: usize = 100;
/// So do programs of many words.
const TOKENS_MAX: usize = 400;

/// An expression that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JqError {
    #[error("the jq expression `{text}` cannot be read: {why}")]
    Syntax { text: String, why: String },
    #[error("the jq expression `{text}` uses {name}, which does not exist")]
    Unknown { text: String, name: String },
    #[error(
        "the jq expression `{text}` uses {name}, which is not there for rules: they see nothing but the object"
    )]
    Refused { text: String, name: String },
    #[error("the jq expression has {found}; at most {most} are read")]
    TooLarge { found: String, most: usize },
}

/// What reaches outside of the object, or out of the program.
const REFUSED: [&str; 24] = [
    "env",
    "input",
    "inputs",
    "input_line_number",
    "input_filename",
    "now",
    "halt",
    "halt_error",
    "debug",
    "stderr",
    "localtime",
    "mktime",
    "gmtime",
    "strftime",
    "strptime",
    "strflocaltime",
    "date",
    "todate",
    "fromdate",
    "dateadd",
    "get_search_list",
    "modulemeta",
    "builtins",
    "$ENV",
];

/// Reads one expression.
pub fn expression(text: &str) -> Result<Expr, JqError> {
    check_size(text)?;
    let syntax = |why: String| JqError::Syntax { text: text.to_owned(), why };
    let tokens = Lexer::new(text).lex().map_err(|errors| {
        let at = errors.first().map(|(_, rest)| *rest).unwrap_or_default();
        syntax(near(at))
    })?;
    let n_tokens = count(&tokens);
    if n_tokens > TOKENS_MAX {
        return Err(JqError::TooLarge { found: format!("{n_tokens} words and signs"), most: TOKENS_MAX });
    }
    let term = Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| {
        let (expected, at) = match errors.first() {
            Some((expected, found)) => (expected.as_str(), found.map(|token| token.0).unwrap_or_default()),
            None => ("something else", ""),
        };
        syntax(format!("{expected} expected {}", near(at)))
    })?;
    Scope { text, names: Vec::new(), vars: Vec::new(), labels: Vec::new() }.expr(&term)
}

fn count(tokens: &[Token<&str>]) -> usize {
    let inner = |token: &Token<&str>| match &token.1 {
        Tok::Block(tokens) => count(tokens),
        Tok::Str(parts) => parts
            .iter()
            .map(|part| match part {
                StrPart::Term(token) => count(std::slice::from_ref(token)),
                StrPart::Str(_) | StrPart::Char(_) => 0,
            })
            .sum(),
        Tok::Word | Tok::Var | Tok::Fmt | Tok::Num | Tok::Sym => 0,
    };
    tokens.iter().map(|token| 1 + inner(token)).sum()
}

fn near(rest: &str) -> String {
    let rest: String = rest.chars().take(20).collect();
    if rest.is_empty() { "at its end".to_owned() } else { format!("at `{rest}`") }
}

fn check_size(text: &str) -> Result<(), JqError> {
    let large = |found: String, most: usize| Err(JqError::TooLarge { found, most });
    if text.len() > LENGTH_MAX {
        return large(format!("{} bytes", text.len()), LENGTH_MAX);
    }
    let words = text.split(|char: char| !(char.is_alphanumeric() || char == '_'));
    let keywords = ["if", "try", "def", "reduce", "foreach", "label", "as", "catch", "elif"];
    let n_words = words.filter(|word| keywords.contains(word)).count();
    let n_signs = text.chars().filter(|char| matches!(char, '(' | '[' | '{' | '-')).count();
    if n_words + n_signs > NESTING_MAX {
        return large(format!("{} brackets, signs and keywords", n_words + n_signs), NESTING_MAX);
    }
    Ok(())
}

/// The definitions that every program has.
pub fn prelude() -> &'static [Def] {
    static PRELUDE: OnceLock<Vec<Def>> = OnceLock::new();
    PRELUDE.get_or_init(|| {
        let text = include_str!("prelude.jq");
        let defs = Lexer::new(text).lex().ok();
        let defs = defs
            .and_then(|tokens| Parser::new(&tokens).parse(|parser| parser.defs()).ok())
            .unwrap_or_default();
        let mut scope = Scope { text, names: Vec::new(), vars: Vec::new(), labels: Vec::new() };
        // What a definition uses of the others is looked up when it runs: they may call each other.
        scope.names.extend(defs.iter().map(|def| (Text::from(def.name), def.args.len())));
        defs.iter().filter_map(|def| scope.body(def).ok()).collect()
    })
}

/// What an expression can name.
#[derive(Clone)]
struct Scope<'a> {
    text: &'a str,
    /// Definitions and parameters: name and number of arguments.
    names: Vec<(Text, usize)>,
    vars: Vec<Text>,
    labels: Vec<Text>,
}

impl Scope<'_> {
    fn unknown(&self, name: impl Into<String>) -> JqError {
        let name = name.into();
        let bare = name.split('/').next().unwrap_or_default();
        let text = self.text.to_owned();
        if REFUSED.contains(&bare) {
            JqError::Refused { text, name }
        } else {
            JqError::Unknown { text, name }
        }
    }

    fn boxed(&self, term: &Term<&str>) -> Result<Box<Expr>, JqError> {
        self.expr(term).map(Box::new)
    }

    fn expr(&self, term: &Term<&str>) -> Result<Expr, JqError> {
        Ok(match term {
            Term::Id => Expr::Id,
            Term::Recurse => Expr::Recurse,
            Term::Num(text) => Expr::Const(self.number(text)?),
            Term::Str(format, parts) => self.string(format.as_deref(), parts)?,
            Term::Arr(inner) => Expr::List(inner.as_deref().map(|inner| self.boxed(inner)).transpose()?),
            Term::Obj(entries) => Expr::Object(self.object(entries)?),
            Term::Neg(inner) => Expr::Neg(self.boxed(inner)?),
            Term::BinOp(left, op, right) => self.binary(left, op, right)?,
            Term::Label(name, inner) => {
                let mut scope = self.clone();
                scope.labels.push(Text::from(*name));
                Expr::Label(Text::from(*name), scope.boxed(inner)?)
            }
            Term::Break(name) if self.labels.iter().any(|label| label == name) => {
                Expr::Break(Text::from(*name))
            }
            Term::Break(name) => return Err(self.unknown(format!("the label {name}"))),
            Term::Fold(name, source, pattern, parts) => self.fold(name, source, pattern, parts)?,
            Term::TryCatch(inner, catch) => {
                let catch = catch.as_deref().map(|catch| self.boxed(catch)).transpose()?;
                Expr::Try(self.boxed(inner)?, catch)
            }
            Term::IfThenElse(branches, otherwise) => self.branches(branches, otherwise.as_deref())?,
            Term::Def(defs, inner) => self.definitions(defs, inner)?,
            Term::Call(name, args) => self.call(name, args)?,
            Term::Var(name) if self.vars.iter().any(|var| var == name) => Expr::Var(Text::from(*name)),
            Term::Var(name) => return Err(self.unknown(*name)),
            Term::Path(base, path) => {
                let mut expr = self.expr(base)?;
                for (part, opt) in &path.0 {
                    let access = if matches!(opt, Opt::Optional) { Access::May } else { Access::Must };
                    expr = self.access(expr, part, access)?;
                }
                expr
            }
        })
    }

    fn access(&self, base: Expr, part: &PathPart<Term<&str>>, access: Access) -> Result<Expr, JqError> {
        let end = |end: &Option<Term<&str>>| end.as_ref().map(|end| self.boxed(end)).transpose();
        Ok(match part {
            PathPart::Index(key) => Expr::Index(Box::new(base), self.boxed(key)?, access),
            PathPart::Range(None, None) => Expr::Iterate(Box::new(base), access),
            PathPart::Range(from, to) => Expr::Slice(Box::new(base), end(from)?, end(to)?, access),
        })
    }

    fn number(&self, text: &str) -> Result<Value, JqError> {
        if let Ok(number) = text.parse::<i64>() {
            return Ok(Value::Int(number));
        }
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        number.map(Value::Float).ok_or_else(|| self.unknown(format!("the number {text}")))
    }

    fn string(&self, format: Option<&str>, parts: &[StrPart<&str, Term<&str>>]) -> Result<Expr, JqError> {
        let format = match format {
            None => Format::Text,
            Some(name) => Format::of(name).ok_or_else(|| self.unknown(name))?,
        };
        let mut filled: Vec<Part> = Vec::new();
        for part in parts {
            let text = match part {
                StrPart::Str(text) => (*text).to_owned(),
                StrPart::Char(char) => char.to_string(),
                StrPart::Term(term) => {
                    filled.push(Part::Expr(self.expr(term)?));
                    continue;
                }
            };
            match filled.last_mut() {
                Some(Part::Text(last)) => last.push_str(&text),
                Some(Part::Expr(_)) | None => filled.push(Part::Text(Text::from(text))),
            }
        }
        Ok(match filled.as_slice() {
            [] => Expr::Const(Value::Str(Text::default())),
            [Part::Text(text)] => Expr::Const(Value::Str(text.clone())),
            _ => Expr::Format(format, filled),
        })
    }

    fn object(&self, entries: &[(Term<&str>, Option<Term<&str>>)]) -> Result<Vec<(Expr, Expr)>, JqError> {
        let entry = |(key, value): &(Term<&str>, Option<Term<&str>>)| {
            let name = match key {
                Term::Var(name) => Expr::Const(Value::from(name.trim_start_matches('$'))),
                key => self.expr(key)?,
            };
            let value = match (value, key) {
                (Some(value), _) => self.expr(value)?,
                (None, Term::Var(_)) => self.expr(key)?,
                (None, key) => Expr::Index(Box::new(Expr::Id), self.boxed(key)?, Access::Must),
            };
            Ok((name, value))
        };
        entries.iter().map(entry).collect()
    }

    fn binary(&self, left: &Term<&str>, op: &BinaryOp<&str>, right: &Term<&str>) -> Result<Expr, JqError> {
        let both = || Ok::<_, JqError>((self.boxed(left)?, self.boxed(right)?));
        Ok(match op {
            BinaryOp::Pipe(None) => both().map(|(left, right)| Expr::Pipe(left, right))?,
            BinaryOp::Pipe(Some(pattern)) => {
                let source = self.boxed(left)?;
                let (pattern, scope) = self.pattern(pattern)?;
                Expr::Bind(source, pattern, scope.boxed(right)?)
            }
            BinaryOp::Comma => both().map(|(left, right)| Expr::Comma(left, right))?,
            BinaryOp::Alt => both().map(|(left, right)| Expr::Alt(left, right))?,
            BinaryOp::Or => both().map(|(left, right)| Expr::Logic(left, true, right))?,
            BinaryOp::And => both().map(|(left, right)| Expr::Logic(left, false, right))?,
            BinaryOp::Math(op) => both().map(|(left, right)| Expr::Math(left, math(*op), right))?,
            BinaryOp::Cmp(op) => both().map(|(left, right)| Expr::Compare(left, comparison(*op), right))?,
            BinaryOp::Assign => both().map(|(left, right)| Expr::Assign(left, right))?,
            BinaryOp::Update => both().map(|(left, right)| Expr::Update(left, right))?,
            BinaryOp::UpdateMath(op) => {
                let with = Expr::Math(Box::new(Expr::Id), math(*op), Box::new(Expr::Var(Text::from("$__v"))));
                both().map(|(left, right)| Expr::UpdateWith(left, right, Box::new(with)))?
            }
            BinaryOp::UpdateAlt => {
                let with = Expr::Alt(Box::new(Expr::Id), Box::new(Expr::Var(Text::from("$__v"))));
                both().map(|(left, right)| Expr::UpdateWith(left, right, Box::new(with)))?
            }
        })
    }

    fn pattern(&self, pattern: &ReadPattern<&str>) -> Result<(Pattern, Self), JqError> {
        let mut scope = self.clone();
        let pattern = scope.bind(pattern)?;
        Ok((pattern, scope))
    }

    fn bind(&mut self, pattern: &ReadPattern<&str>) -> Result<Pattern, JqError> {
        Ok(match pattern {
            ReadPattern::Var(name) => {
                self.vars.push(Text::from(*name));
                Pattern::Var(Text::from(*name))
            }
            ReadPattern::Arr(items) => {
                Pattern::List(items.iter().map(|item| self.bind(item)).collect::<Result<_, _>>()?)
            }
            ReadPattern::Obj(entries) => {
                let mut bound = Vec::new();
                for (key, value) in entries {
                    let key = self.expr(key)?;
                    bound.push((key, self.bind(value)?));
                }
                Pattern::Object(bound)
            }
        })
    }

    fn fold(
        &self,
        name: &str,
        source: &Term<&str>,
        pattern: &ReadPattern<&str>,
        parts: &[Term<&str>],
    ) -> Result<Expr, JqError> {
        let source = self.expr(source)?;
        let (pattern, scope) = self.pattern(pattern)?;
        match (name, parts) {
            ("reduce", [init, update]) => {
                let (init, update) = (self.expr(init)?, scope.expr(update)?);
                Ok(Expr::Reduce(Box::new(Fold { source, pattern, init, update })))
            }
            ("foreach", [init, update, more @ ..]) if more.len() <= 1 => {
                let (init, update) = (self.expr(init)?, scope.expr(update)?);
                let extract = more.first().map(|extract| scope.boxed(extract)).transpose()?;
                Ok(Expr::Foreach(Box::new(Fold { source, pattern, init, update }), extract))
            }
            _ => Err(self.unknown(format!("{name} with {} parts", parts.len()))),
        }
    }

    fn branches(
        &self,
        branches: &[(Term<&str>, Term<&str>)],
        otherwise: Option<&Term<&str>>,
    ) -> Result<Expr, JqError> {
        let mut expr = otherwise.map(|otherwise| self.boxed(otherwise)).transpose()?;
        for (condition, then) in branches.iter().rev() {
            expr = Some(Box::new(Expr::If(self.boxed(condition)?, self.boxed(then)?, expr)));
        }
        Ok(expr.map_or(Expr::Id, |expr| *expr))
    }

    fn definitions(&self, defs: &[ReadDef<&str>], inner: &Term<&str>) -> Result<Expr, JqError> {
        let mut scope = self.clone();
        let mut read = Vec::new();
        for def in defs {
            scope.names.push((Text::from(def.name), def.args.len()));
            read.push(Arc::new(scope.body(def)?));
        }
        let inner = scope.expr(inner)?;
        Ok(read.into_iter().rev().fold(inner, |inner, def| Expr::Def(def, Box::new(inner))))
    }

    fn body(&self, def: &ReadDef<&str>) -> Result<Def, JqError> {
        let mut scope = self.clone();
        for parameter in &def.args {
            if parameter.starts_with('$') {
                scope.vars.push(Text::from(*parameter));
            }
            scope.names.push((Text::from(parameter.trim_start_matches('$')), 0));
        }
        let parameters = def.args.iter().map(|parameter| Text::from(*parameter)).collect();
        Ok(Def { name: Text::from(def.name), parameters, body: scope.expr(&def.body)? })
    }

    fn call(&self, name: &str, args: &[Term<&str>]) -> Result<Expr, JqError> {
        let read = || args.iter().map(|arg| self.expr(arg)).collect::<Result<Vec<_>, _>>();
        if self.names.iter().any(|(known, arity)| known == name && *arity == args.len()) {
            return Ok(Expr::Local(Text::from(name), read()?));
        }
        match (name, args.len()) {
            ("null", 0) => return Ok(Expr::Const(Value::Null)),
            ("true", 0) => return Ok(Expr::Const(Value::Bool(true))),
            ("false", 0) => return Ok(Expr::Const(Value::Bool(false))),
            _ => {}
        }
        if let (Some(format), 0) = (Format::of(name), args.len()) {
            return Ok(Expr::Format(format, vec![Part::Expr(Expr::Id)]));
        }
        if let Some(native) = Native::of(name, args.len()) {
            return Ok(Expr::Native(native, read()?));
        }
        let known = prelude().iter().find(|def| def.name == name && def.parameters.len() == args.len());
        match known {
            Some(def) => Ok(Expr::Known(def, read()?)),
            None => Err(self.unknown(format!("{name}/{}", args.len()))),
        }
    }
}

fn math(op: ops::Math) -> Math {
    match op {
        ops::Math::Add => Math::Add,
        ops::Math::Sub => Math::Sub,
        ops::Math::Mul => Math::Mul,
        ops::Math::Div => Math::Div,
        ops::Math::Rem => Math::Rem,
    }
}

fn comparison(op: ops::Cmp) -> Compare {
    match op {
        ops::Cmp::Lt => Compare::Lt,
        ops::Cmp::Le => Compare::Le,
        ops::Cmp::Gt => Compare::Gt,
        ops::Cmp::Ge => Compare::Ge,
        ops::Cmp::Eq => Compare::Eq,
        ops::Cmp::Ne => Compare::Ne,
    }
}
