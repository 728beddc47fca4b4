//! The record of a run, read back from its file.

use serde::Deserialize;

use super::{RECORD_FORMAT, RunRecord};

/// Why a text is not the record of a run.
#[derive(Debug, thiserror::Error)]
pub enum ReadRecordError {
    /// Nothing was written: the run did not come to its end.
    #[error("it is empty: the run that was to write it did not come to its end")]
    Empty,
    /// Something else altogether.
    #[error("it is not the record of a run: it is not UTF-8")]
    NotText,
    /// Not a record, or not the whole of one.
    #[error("it is not the record of a run: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Of a later version.
    #[error("it has the format {found}, and this tapwright reads {RECORD_FORMAT}")]
    Newer {
        /// The format that it has.
        found: u32,
    },
}

/// What every format has.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// Reads what `--report json=FILE` wrote.
///
/// # Errors
/// When it is empty, of a later format, or not a record.
pub fn read(text: &str) -> Result<RunRecord, ReadRecordError> {
    if text.trim().is_empty() {
        return Err(ReadRecordError::Empty);
    }
    let Head { format } = serde_json::from_str(text)?;
    if format > RECORD_FORMAT {
        return Err(ReadRecordError::Newer { found: format });
    }
    Ok(serde_json::from_str(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Events, fixture, record::Collector};

    fn text() -> String {
        let record = Collector::of(&fixture::run(), Events::OfAll);
        serde_json::to_string(&record).unwrap()
    }

    #[test]
    fn what_was_written_is_read_back_whole() {
        let record = Collector::of(&fixture::run(), Events::OfAll);
        assert_eq!(read(&text()).unwrap(), record);
    }

    #[test]
    fn what_can_not_be_read_is_said() {
        assert!(matches!(read("\n"), Err(ReadRecordError::Empty)));
        let newer = text().replacen("\"format\":1", "\"format\":99", 1);
        assert!(matches!(read(&newer), Err(ReadRecordError::Newer { found: 99 })));
        let text = text();
        let half = &text[..text.len() / 2];
        assert!(matches!(read(half), Err(ReadRecordError::Malformed(_))));
        assert!(matches!(read("{\"format\":1}"), Err(ReadRecordError::Malformed(_))));
    }

    #[test]
    fn members_that_are_not_known_are_passed_over() {
        let more = text().replacen("{\"format\":1", "{\"later\":[{}],\"format\":1", 1);
        assert!(read(&more).is_ok());
    }
}
