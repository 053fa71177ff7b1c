//! The types of expressions.

use std::fmt;
use std::sync::Arc;

use trueup_object::value::Text;

/// A type, as the checker knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Known only when it is there.
    Dyn,
    /// Of an expression that is wrong already: it fits everywhere, so that one mistake is told once.
    Error,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    List(Arc<Type>),
    Map(Arc<(Type, Type)>),
    Optional(Arc<Type>),
    Type(Option<Arc<Type>>),
    /// A struct that is declared, or one of the library's own (`kubernetes.URL`).
    Object(Text),
    /// What inference has to find out.
    Var(u32),
    /// A parameter of a function's declaration.
    Param(u8),
}

impl Type {
    pub fn list(element: Type) -> Self {
        Self::List(Arc::new(element))
    }

    pub fn map(key: Type, value: Type) -> Self {
        Self::Map(Arc::new((key, value)))
    }

    pub fn optional(inner: Type) -> Self {
        Self::Optional(Arc::new(inner))
    }

    pub(crate) fn of(inner: Type) -> Self {
        Self::Type(Some(Arc::new(inner)))
    }

    /// The type that a name stands for in an expression (`int`, `google.protobuf.Duration`).
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "bytes" => Self::Bytes,
            "double" => Self::Double,
            "dyn" => Self::Dyn,
            "int" => Self::Int,
            "list" => Self::list(Self::Dyn),
            "map" => Self::map(Self::Dyn, Self::Dyn),
            "null_type" => Self::Null,
            "string" => Self::String,
            "type" => Self::Type(None),
            "uint" => Self::Uint,
            "optional_type" => Self::optional(Self::Dyn),
            "google.protobuf.Duration" => Self::Duration,
            "google.protobuf.Timestamp" => Self::Timestamp,
            _ => return None,
        })
    }

    /// The name of a type of values, as errors at run time and refusals of results say it.
    pub fn name(&self) -> String {
        match self {
            Self::Dyn => "dyn".to_owned(),
            Self::Error => "*error*".to_owned(),
            Self::Null => "null_type".to_owned(),
            Self::Timestamp => "google.protobuf.Timestamp".to_owned(),
            Self::Duration => "google.protobuf.Duration".to_owned(),
            Self::List(element) => format!("list({})", element.name()),
            Self::Map(types) => format!("map({}, {})", types.0.name(), types.1.name()),
            Self::Optional(inner) => format!("optional_type({})", inner.name()),
            Self::Type(Some(inner)) => format!("type({})", inner.name()),
            Self::Bool
            | Self::Int
            | Self::Uint
            | Self::Double
            | Self::String
            | Self::Bytes
            | Self::Type(None)
            | Self::Object(_)
            | Self::Var(_)
            | Self::Param(_) => self.to_string(),
        }
    }

    /// The name without the parameters.
    pub fn short_name(&self) -> String {
        match self {
            Self::List(_) => "list".to_owned(),
            Self::Map(_) => "map".to_owned(),
            Self::Optional(_) => "optional_type".to_owned(),
            Self::Type(_) => "type".to_owned(),
            _ => self.name(),
        }
    }
}

/// As the checker's messages say it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Error => f.write_str("!error!"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(element) => write!(f, "list({element})"),
            Self::Map(types) => write!(f, "map({}, {})", types.0, types.1),
            Self::Optional(inner) => write!(f, "optional_type({inner})"),
            Self::Type(None) => f.write_str("type"),
            Self::Type(Some(inner)) => write!(f, "type({inner})"),
            Self::Object(name) => f.write_str(name),
            Self::Var(number) => write!(f, "_var{number}"),
            Self::Param(number) => write!(f, "{}", char::from(b'A'.saturating_add(*number))),
        }
    }
}
