//! An error is one place: the macro `errors!` declares an error type as a table of codes, what each
//! code means, and below it the errors that have it, with message, label and remedy. The parts that
//! report errors of many kinds declare them with it.

use super::Code;

/// The parts of a diagnostic beside an error's message.
pub(crate) trait Advice: std::error::Error {
    fn code(&self) -> Code;

    /// What is written at its position in the source; empty for an error without a position.
    fn label(&self) -> String;

    /// The remedy; empty if there is none.
    fn help(&self) -> String;
}

/// Declares an enum of errors, the table of its codes and its [`Advice`]:
///
/// ```text
/// errors! {
///     #[derive(..)]
///     pub(crate) enum Name;
///
///     "CODE" "the title of the code", "what it means";
///         Variant { field: Type, .. }
///             error("as thiserror takes it: {field}")
///             label("at its position")
///             help(format!("what to do, an expression over {field}"));
/// }
/// ```
///
/// `as NAME` behind a code makes it a constant. `code(..)` in front of a label is the code of an
/// error that chooses it by its fields. A code may stand without an error.
macro_rules! errors {
    (@code $code:literal) => { $crate::diag::Code($code) };
    (@code $code:literal $chosen:expr) => { $chosen };
    (@label) => { String::new() };
    (@label $label:expr) => { String::from($label) };
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident;
        $(
            $code:literal $(as $constant:ident)? $title:literal, $text:literal;
            $(
                $variant:ident $({ $($(#[$of_field:meta])* $field:ident: $type:ty),* $(,)? })?
                    error($($message:tt)+)
                    $(code($chosen:expr))?
                    $(label($label:expr))?
                    help($help:expr);
            )*
        )+
    ) => {
        $(#[$attribute])*
        $visibility enum $name {
            $($(
                #[error($($message)+)]
                $variant $({ $($(#[$of_field])* $field: $type),* })?,
            )*)+
        }

        $($(pub(crate) const $constant: $crate::diag::Code = $crate::diag::Code($code);)?)+

        /// What the codes of this part mean.
        pub const EXPLANATIONS: &[$crate::diag::Explanation] = &[
            $($crate::diag::Explanation {
                code: $crate::diag::Code($code),
                title: $title,
                text: $text,
            },)+
        ];

        impl $crate::diag::Advice for $name {
            fn code(&self) -> $crate::diag::Code {
                match self {
                    $($(Self::$variant $({ $($field),* })? => {
                        $(let _ = ($($field,)*);)?
                        $crate::diag::errors!(@code $code $($chosen)?)
                    })*)+
                }
            }

            fn label(&self) -> String {
                match self {
                    $($(Self::$variant $({ $($field),* })? => {
                        $(let _ = ($($field,)*);)?
                        $crate::diag::errors!(@label $($label)?)
                    })*)+
                }
            }

            fn help(&self) -> String {
                match self {
                    $($(Self::$variant $({ $($field),* })? => {
                        $(let _ = ($($field,)*);)?
                        String::from($help)
                    })*)+
                }
            }
        }
    };
}

pub(crate) use errors;
