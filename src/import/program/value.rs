//! What expressions of a program give.

use super::syntax::Statement;

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Bool(bool),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
    Function(Vec<String>, Vec<Statement>),
    /// What the text does not say, as it is written.
    Unknown(String),
    Nothing,
}

impl Value {
    /// Whether it holds as a condition; none where that is not known.
    pub(super) fn holds(&self) -> Option<bool> {
        match self {
            Self::Text(text) => Some(!text.is_empty()),
            Self::Number(number) => Some(*number != 0),
            Self::Bool(is) => Some(*is),
            Self::List(list) => Some(!list.is_empty()),
            Self::Map(_) | Self::Function(..) => Some(true),
            Self::Unknown(_) => None,
            Self::Nothing => Some(false),
        }
    }

    /// How many bytes it takes, about.
    pub(super) fn size(&self) -> usize {
        const OF_ONE: usize = 16;
        OF_ONE
            + match self {
                Self::Text(text) | Self::Unknown(text) => text.len(),
                Self::List(list) => list.iter().map(Self::size).sum(),
                Self::Map(map) => map.iter().map(|(key, value)| key.len() + value.size()).sum(),
                _ => 0,
            }
    }

    /// A list of what it is: a list's items, or itself.
    pub(super) fn items(self) -> Vec<Self> {
        match self {
            Self::List(list) => list,
            Self::Nothing => Vec::new(),
            one => vec![one],
        }
    }

    pub(super) fn member(&self, key: &Self) -> Self {
        let text = key.plain();
        match self {
            Self::Map(map) => {
                let found = map.iter().find(|(name, _)| Some(name) == text.as_ref());
                found.map_or(Self::Nothing, |(_, value)| value.clone())
            }
            Self::List(list) => {
                let at = text.and_then(|text| text.parse::<usize>().ok());
                at.and_then(|at| list.get(at).cloned()).unwrap_or(Self::Nothing)
            }
            Self::Unknown(written) => match key {
                Self::Text(_) | Self::Number(_) => {
                    Self::Unknown(format!("{written}.{}", text.unwrap_or_default()))
                }
                _ => Self::Unknown(written.clone()),
            },
            _ => Self::Nothing,
        }
    }

    /// Its text, where it is one text.
    pub(super) fn plain(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::List(list) if list.len() == 1 => list[0].plain(),
            _ => None,
        }
    }
}
