/// A block of code in a document.
#[derive(Debug)]
pub(crate) struct Block {
    /// Where it begins, from 1.
    pub(crate) line: usize,
    /// The first word of its info string.
    pub(crate) language: String,
    /// The other words: `fails`, `file=a.yaml`.
    marks: Vec<String>,
    /// Its lines.
    pub(crate) text: String,
}

impl Block {
    /// What a mark says behind its `=`.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let mut marks = self.marks.iter();
        marks.find_map(|mark| mark.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether a mark is there.
    pub(crate) fn is(&self, mark: &str) -> bool {
        self.marks.iter().any(|known| known == mark)
    }
}

/// The blocks of a document: fenced ones, and indented ones.
pub(crate) fn read(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = (1..).zip(text.lines()).peekable();
    let mut after_blank = true;
    while let Some((number, line)) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let mut words = info.split_whitespace().map(str::to_owned);
            let mut block = Block {
                line: number,
                language: words.next().unwrap_or_default(),
                marks: words.collect(),
                text: String::new(),
            };
            for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
                block.text += line;
                block.text.push('\n');
            }
            blocks.push(block);
        } else if let Some(first) = line.strip_prefix("    ").filter(|_| after_blank) {
            let mut text = format!("{first}\n");
            while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with("    ")) {
                text += &line[4..];
                text.push('\n');
            }
            // A command is shown with its prompt, whatever else is indented is not run.
            let language = if first.starts_with("$ ") { "console" } else { "" };
            blocks.push(Block {
                line: number,
                language: language.to_owned(),
                marks: Vec::new(),
                text,
            });
        }
        after_blank = line.is_empty();
    }
    blocks
}

/// The commands of a console block, each with what it prints.
pub(crate) fn commands(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        match (line.strip_prefix("$ "), all.last_mut()) {
            (Some(command), _) if !goes_on => all.push((command.to_owned(), String::new())),
            (_, Some((command, _))) if goes_on => {
                command.push('\n');
                command.push_str(line);
            }
            (_, Some((_, output))) => {
                output.push_str(line);
                output.push('\n');
            }
            (_, None) => return Err(format!("it doesn't begin with `$ `: {line}")),
        }
        goes_on = line.ends_with('\\');
    }
    Ok(all)
}
