//! What the objects of one type have in common: QEMU's global variables. Each type of object
//! declares a type of its own for that, and the core knows none of them.

use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    fmt::Debug,
};

/// At most one value of each type, each in its default state until somebody asks for it.
#[derive(Debug, Default)]
pub(in crate::machine) struct Shared(BTreeMap<TypeId, Box<dyn Any + Send>>);

impl Shared {
    /// The value of this type.
    pub(in crate::machine) fn of<T: Any + Debug + Default + Send>(&mut self) -> &mut T {
        let value = self.0.entry(TypeId::of::<T>()).or_insert_with(|| Box::<T>::default());
        match value.downcast_mut() {
            Some(value) => value,
            None => unreachable!("a value is kept by its own type"),
        }
    }
}
