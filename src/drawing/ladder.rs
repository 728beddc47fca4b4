//! A run's packets as a ladder: what the HTML report draws of a case.

use super::{
    Picture,
    markup::{self, Heading, Markup, escaped},
};

/// Packets over ports, from left to right, and steps, from top to bottom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ladder {
    /// The ports.
    pub lanes: Vec<String>,
    /// From the top.
    pub rows: Vec<Row>,
}

/// A line of a ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A step begins.
    Step {
        /// `[3] send hn0.guest`.
        title: String,
        /// Whether something in it is not as expected.
        wrong: bool,
    },
    /// A packet and where it came.
    Packet {
        /// `#3 UDP 10.0.0.1:7 > 10.0.0.2:9`.
        label: String,
        /// The lane where it was sent; none for one that comes from elsewhere, or from an earlier
        /// step.
        from: Option<usize>,
        /// Where it came.
        hits: Vec<Hit>,
        /// Where and why it, or a copy of it, went no further.
        lost: Vec<String>,
        /// What else is known: `consumed by f0`.
        notes: Vec<String>,
        /// What it leads to in its page.
        href: Option<String>,
    },
    /// Something happened.
    Remark {
        /// What.
        text: String,
        /// Whether it is bad.
        grave: bool,
    },
}

/// A packet at a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The port.
    pub lane: usize,
    /// Whether it is as it should be.
    pub kind: HitKind,
    /// What differs.
    pub text: Option<String>,
}

/// How a packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HitKind {
    /// As it was sent.
    Same,
    /// Changed on its way, as expected.
    Changed,
    /// Otherwise than expected.
    Wrong,
    /// It was expected, and did not come.
    Missing,
    /// It was not expected.
    Extra,
}

const ROW: i32 = 22;
const HEAD: i32 = 46;
/// Most characters beside a packet.
const BESIDE: usize = 118;
/// Most characters of a remark.
const SAID: usize = 180;
/// Tenths of a pixel a character.
const SMALL: i32 = 61;

/// A ladder as SVG.
#[must_use]
pub fn ladder(ladder: &Ladder) -> Picture {
    let lanes = Lanes::of(&ladder.lanes);
    let mut out = Markup::default();
    let mut rows = Markup::default();
    let (mut y, mut beside) = (HEAD, 0);
    for row in &ladder.rows {
        beside = beside.max(self::row(&mut rows, &lanes, y, row));
        y += ROW;
    }
    let height = y + 8;
    for (at, name) in ladder.lanes.iter().enumerate() {
        let x = lanes.x(at);
        let (machine, port) = name.split_once('/').unwrap_or(("", name));
        out.text((x, 14), "m s", machine);
        out.text((x, 28), "m s n", port);
        out.put(format_args!("<path class=\"w z\" d=\"M{x} 34V{height}\"/>"));
    }
    let mut body = out.finish();
    body += &rows.finish();
    Picture { width: lanes.end + beside + 16, height, body }
}

/// Where ports stand.
struct Lanes {
    gap: i32,
    first: i32,
    /// Where the text begins.
    end: i32,
}

impl Lanes {
    fn of(names: &[String]) -> Self {
        let widths =
            names.iter().flat_map(|name| name.split('/')).map(|part| markup::width(part, SMALL));
        let gap = widths.max().unwrap_or(0).max(56) + 18;
        let count = i32::try_from(names.len()).unwrap_or(1);
        let first = gap / 2;
        Self { gap, first, end: first + gap * (count - 1).max(0) + gap / 2 + 6 }
    }

    fn x(&self, lane: usize) -> i32 {
        self.first + self.gap * i32::try_from(lane).unwrap_or(0)
    }
}

/// Draws a row; the pixels that its text takes beside the lanes.
fn row(out: &mut Markup, lanes: &Lanes, y: i32, row: &Row) -> i32 {
    let middle = y + ROW / 2;
    match row {
        Row::Step { title, wrong } => {
            let class = if *wrong { "y x" } else { "y" };
            let title = markup::shortened(title, BESIDE);
            let text = markup::width(&title, 66) + 6;
            out.put(format_args!(
                "<path class=\"{class}\" d=\"M0 {}H{}\"/>",
                y + 3,
                lanes.end + text
            ));
            out.text((lanes.end, middle + 6), "q", &title);
            text
        }
        Row::Remark { text, grave } => {
            let class = if *grave { "s x" } else { "s" };
            let mark = if *grave { "! " } else { "" };
            let text = format!("{mark}{text}");
            let shown = markup::shortened(&text, SAID);
            out.put(format_args!("<g><title>{}</title>", escaped(&text)));
            out.text((lanes.end + 12, middle + 4), class, &shown);
            out.put(format_args!("</g>"));
            markup::width(&shown, SMALL) + 12
        }
        Row::Packet { label, from, hits, lost, notes, href } => {
            let wrong = hits.iter().any(|hit| is_wrong(hit.kind));
            match href {
                Some(href) => out.put(format_args!("<a href=\"{}\">", escaped(href))),
                None => out.put(format_args!("<g>")),
            }
            let width = beside(out, (lanes.end, middle + 4), label, hits, lost, notes, || {
                if wrong { Some((y, lanes.end)) } else { None }
            });
            arrows(out, lanes, middle, *from, hits, !lost.is_empty());
            out.put(if href.is_some() { format_args!("</a>") } else { format_args!("</g>") });
            width
        }
    }
}

const fn is_wrong(kind: HitKind) -> bool {
    matches!(kind, HitKind::Wrong | HitKind::Missing | HitKind::Extra)
}

/// The text beside a packet, on a ground of its own where something is wrong.
fn beside(
    out: &mut Markup,
    (x, y): (i32, i32),
    label: &str,
    hits: &[Hit],
    lost: &[String],
    notes: &[String],
    ground: impl Fn() -> Option<(i32, i32)>,
) -> i32 {
    let mut parts: Vec<(&str, String)> = Vec::new();
    for hit in hits {
        let Some(text) = &hit.text else { continue };
        let class = match hit.kind {
            HitKind::Changed => "l",
            HitKind::Same => "d",
            HitKind::Wrong | HitKind::Missing | HitKind::Extra => "x",
        };
        let part = (class, format!("  {text}"));
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.extend(lost.iter().map(|text| ("x", format!("  \u{2715} {text}"))));
    parts.extend(notes.iter().map(|text| ("d", format!("  {text}"))));
    let room = BESIDE.saturating_sub(parts.iter().map(|(_, text)| text.chars().count()).sum());
    let label = markup::shortened(label, room.max(40));
    let mut all = label.clone();
    parts.iter().for_each(|(_, text)| all += text);
    let width = markup::width(&all, SMALL);
    if let Some((top, end)) = ground() {
        out.put(format_args!(
            "<rect class=\"x\" x=\"0\" y=\"{top}\" width=\"{}\" height=\"{ROW}\"/>",
            end + width + 8
        ));
    }
    out.put(format_args!("<text x=\"{x}\" y=\"{y}\" class=\"at\">{}", escaped(&label)));
    for (class, text) in parts {
        out.put(format_args!("<tspan class=\"{class}\">{}</tspan>", escaped(&text)));
    }
    out.put(format_args!("</text>"));
    width
}

fn arrows(
    out: &mut Markup,
    lanes: &Lanes,
    y: i32,
    from: Option<usize>,
    hits: &[Hit],
    is_lost: bool,
) {
    let source = from.map(|lane| lanes.x(lane));
    // What came as it should is one line to the farthest port on either side.
    let plain: Vec<&Hit> = hits.iter().filter(|hit| !is_wrong(hit.kind)).collect();
    if let Some(x) = source {
        let reached = plain.iter().map(|hit| lanes.x(hit.lane));
        let (left, right) = reached.fold((x, x), |(l, r), at| (l.min(at), r.max(at)));
        if left < right {
            out.put(format_args!("<path class=\"w\" d=\"M{left} {y}H{right}\"/>"));
        }
    }
    for hit in hits {
        let x = lanes.x(hit.lane);
        let start = match source {
            Some(start) if start != x => start,
            _ => x - 20,
        };
        let class = match hit.kind {
            HitKind::Same => "i",
            HitKind::Changed => "i l",
            HitKind::Wrong | HitKind::Missing | HitKind::Extra => "i x",
        };
        if is_wrong(hit.kind) || source.is_none_or(|source| source == x) {
            let stroke = match hit.kind {
                HitKind::Missing => "w x a",
                kind if is_wrong(kind) => "w x",
                _ => "w",
            };
            out.put(format_args!("<path class=\"{stroke}\" d=\"M{start} {y}H{x}\"/>"));
        }
        if hit.kind == HitKind::Missing {
            cross(out, x, y);
        } else {
            let heading = if start < x { Heading::Right } else { Heading::Left };
            out.tip((x, y), heading, class);
        }
    }
    if let Some(x) = source {
        if is_lost {
            let nearest = hits.iter().map(|hit| lanes.x(hit.lane)).find(|at| *at != x);
            let end = match nearest {
                Some(at) => (x + at) / 2,
                None if x + lanes.gap < lanes.end => x + lanes.gap / 2,
                None => x - lanes.gap / 2,
            };
            out.put(format_args!("<path class=\"w x\" d=\"M{x} {y}H{end}\"/>"));
            cross(out, end, y);
        }
        out.put(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"3.5\"/>"));
    }
}

fn cross(out: &mut Markup, x: i32, y: i32) {
    out.put(format_args!("<path class=\"k\" d=\"M{} {}l10 10m0-10l-10 10\"/>", x - 5, y - 5));
}
