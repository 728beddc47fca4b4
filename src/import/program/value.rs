//! What expressions of a program give.

use std::{cell::RefCell, rc::Rc};

use super::syntax::{Class, Function};

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Bool(bool),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
    Function(Rc<Function>),
    Class(Rc<Class>),
    Object(Rc<Object>),
    /// What the text does not say, as it is written.
    Unknown(String),
    Nothing,
}

/// What a class was called for.
#[derive(Debug)]
pub(super) struct Object {
    /// The number of the object, in the order in which they are made.
    pub(super) number: usize,
    pub(super) class: Rc<Class>,
    pub(super) fields: RefCell<Vec<(String, Value)>>,
}

impl Object {
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let fields = self.fields.borrow();
        fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    pub(super) fn set(&self, name: &str, value: Value) {
        let mut fields = self.fields.borrow_mut();
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some(field) => field.1 = value,
            None => fields.push((name.to_owned(), value)),
        }
    }
}

impl Value {
    /// Whether it holds as a condition; none where that is not known.
    pub(super) fn holds(&self) -> Option<bool> {
        match self {
            Self::Text(text) => Some(!text.is_empty()),
            Self::Number(number) => Some(*number != 0),
            Self::Bool(is) => Some(*is),
            Self::List(list) => Some(!list.is_empty()),
            Self::Map(_) | Self::Function(_) | Self::Class(_) | Self::Object(_) => Some(true),
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
            Self::Map(map) if map.is_empty() => Vec::new(),
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
                let at = text.and_then(|text| text.parse::<i64>().ok());
                let at = at.and_then(|at| match at < 0 {
                    true => list.len().checked_sub(usize::try_from(-at).ok()?),
                    false => usize::try_from(at).ok(),
                });
                at.and_then(|at| list.get(at).cloned()).unwrap_or(Self::Nothing)
            }
            Self::Object(object) => {
                let found = text.as_deref().and_then(|name| object.get(name));
                found.unwrap_or(Self::Unknown(text.unwrap_or_default()))
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
