//! A jq program as it is run: names are resolved, sugar is gone.

use std::sync::Arc;

use trueup_object::{Text, Value};

use super::native::Native;

/// An expression.
#[derive(Debug)]
pub enum Expr {
    Id,
    /// `..`
    Recurse,
    Const(Value),
    /// A string with parts to be filled in, and how they are written.
    Format(Format, Vec<Part>),
    List(Option<Box<Expr>>),
    Object(Vec<(Expr, Expr)>),
    Neg(Box<Expr>),
    Pipe(Box<Expr>, Box<Expr>),
    /// `SOURCE as PATTERN | BODY`
    Bind(Box<Expr>, Pattern, Box<Expr>),
    Comma(Box<Expr>, Box<Expr>),
    Alt(Box<Expr>, Box<Expr>),
    /// The flag is the value at which the left side decides alone.
    Logic(Box<Expr>, bool, Box<Expr>),
    Math(Box<Expr>, Math, Box<Expr>),
    Compare(Box<Expr>, Compare, Box<Expr>),
    Assign(Box<Expr>, Box<Expr>),
    Update(Box<Expr>, Box<Expr>),
    /// Each value of the right side, bound to `$__v`, in the update that follows.
    UpdateWith(Box<Expr>, Box<Expr>, Box<Expr>),
    Label(Text, Box<Expr>),
    Break(Text),
    Reduce(Box<Fold>),
    Foreach(Box<Fold>, Option<Box<Expr>>),
    Try(Box<Expr>, Option<Box<Expr>>),
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    Def(Arc<Def>, Box<Expr>),
    /// A definition or a parameter in scope.
    Local(Text, Vec<Expr>),
    /// One of the definitions that every program has.
    Known(&'static Def, Vec<Expr>),
    Native(Native, Vec<Expr>),
    Var(Text),
    Index(Box<Expr>, Box<Expr>, Access),
    Slice(Box<Expr>, Option<Box<Expr>>, Option<Box<Expr>>, Access),
    Iterate(Box<Expr>, Access),
}

/// What becomes of an access that fails: `.a` and `.a?`. What comes before it in a chain fails by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Must,
    May,
}

/// `reduce` and `foreach`.
#[derive(Debug)]
pub struct Fold {
    pub source: Expr,
    pub pattern: Pattern,
    pub init: Expr,
    pub update: Expr,
}

/// `def NAME(PARAMETERS): BODY;`
#[derive(Debug)]
pub struct Def {
    pub name: Text,
    /// With `$` where they are values.
    pub parameters: Vec<Text>,
    pub body: Expr,
}

#[derive(Debug)]
pub enum Pattern {
    Var(Text),
    List(Vec<Pattern>),
    Object(Vec<(Expr, Pattern)>),
}

#[derive(Debug)]
pub enum Part {
    Text(Text),
    Expr(Expr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Math {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
}

/// How a value is written into a string (`@base64` and the like).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
    Html,
    Uri,
    Csv,
    Tsv,
    Sh,
    Base64,
    Base64d,
}

impl Format {
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "@text" => Self::Text,
            "@json" => Self::Json,
            "@html" => Self::Html,
            "@uri" => Self::Uri,
            "@csv" => Self::Csv,
            "@tsv" => Self::Tsv,
            "@sh" => Self::Sh,
            "@base64" => Self::Base64,
            "@base64d" => Self::Base64d,
            _ => return None,
        })
    }
}
