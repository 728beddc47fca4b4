//! Whether a shell's command goes on in the next line because quotes, an array or a compound command
//! is open.

/// Whether a text that grows ends inside quotes or an array: what was looked at once is not looked at
/// again.
#[derive(Debug)]
pub(super) struct Openness {
    /// Bytes that were looked at.
    seen: usize,
    quote: Option<char>,
    depth: usize,
    /// The next character means itself.
    escaped: bool,
    here: Here,
    /// As it was behind the last character that is no blank.
    before_blanks: Here,
}

#[derive(Clone, Copy, Debug)]
struct Here {
    previous: char,
    in_comment: bool,
}

impl Default for Openness {
    fn default() -> Self {
        let here = Here { previous: ' ', in_comment: false };
        Self { seen: 0, quote: None, depth: 0, escaped: false, here, before_blanks: here }
    }
}

impl Openness {
    /// The text must begin with what it was before.
    pub(super) fn of(&mut self, text: &str) -> bool {
        for c in text.get(self.seen..).unwrap_or_default().chars() {
            self.next(c);
            if !c.is_whitespace() {
                self.before_blanks = self.here;
            }
        }
        self.seen = text.len();
        self.quote.is_some() || self.depth > 0
    }

    /// The blanks at the end of a text that is not open were taken off.
    pub(super) fn trimmed(&mut self, text: &str) {
        if text.len() < self.seen {
            (self.seen, self.here) = (text.len(), self.before_blanks);
        }
    }

    fn next(&mut self, c: char) {
        if std::mem::take(&mut self.escaped) || self.here.in_comment && c != '\n' {
            return;
        }
        self.here.in_comment = false;
        match (self.quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => self.quote = None,
            (Some('\''), _) => {}
            (_, '\\') => self.escaped = true,
            (Some(_), _) => {}
            (None, '\'' | '"') => self.quote = Some(c),
            (None, '#') if self.here.previous.is_whitespace() => self.here.in_comment = true,
            (None, '(') if self.here.previous == '=' || self.depth > 0 => self.depth += 1,
            (None, ')') => self.depth = self.depth.saturating_sub(1),
            (None, _) => {}
        }
        self.here.previous = c;
    }
}
