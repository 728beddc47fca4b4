//! What stands where, in pixels.

use std::collections::BTreeMap;

use super::{markup, place::Place};

/// Tenths of a pixel that a character of the first line of a figure is wide.
const NAME: i32 = 73;
/// And of the others.
const SMALL: i32 = 61;
/// Most characters of a line.
const LONGEST: usize = 34;

/// A rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) w: i32,
    pub(super) h: i32,
}

impl Rect {
    pub(super) const fn right(self) -> i32 {
        self.x + self.w
    }

    pub(super) const fn bottom(self) -> i32 {
        self.y + self.h
    }

    pub(super) const fn center(self) -> i32 {
        self.x + self.w / 2
    }

    pub(super) const fn middle(self) -> i32 {
        self.y + self.h / 2
    }
}

/// A box with lines of text.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) rect: Rect,
    /// How it is drawn.
    pub(super) class: String,
    /// The radius of its corners.
    pub(super) round: i32,
    /// The first is its name.
    pub(super) lines: Vec<String>,
    /// All that is said of it, where the lines are cut short.
    pub(super) tip: Option<String>,
}

impl Figure {
    /// As wide as its text wants.
    pub(super) fn new(class: &str, round: i32, lines: Vec<String>, height: i32) -> Self {
        let cut = lines.iter().any(|line| line.chars().count() > LONGEST);
        let tip = cut.then(|| lines.join("\n"));
        let lines: Vec<String> =
            lines.iter().map(|line| markup::shortened(line, LONGEST)).collect();
        let widths = lines.iter().enumerate().map(|(at, line)| {
            let tenths = if at == 0 { NAME } else { SMALL };
            markup::width(line, tenths)
        });
        let w = widths.max().unwrap_or(0) + 20;
        let rect = Rect { w: w.max(64), h: height, ..Rect::default() };
        Self { rect, class: class.to_owned(), round, lines, tip }
    }

    pub(super) const fn at(mut self, x: i32, y: i32) -> Self {
        self.rect.x = x;
        self.rect.y = y;
        self
    }
}

/// A framed part of the sheet.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) rect: Rect,
    pub(super) title: String,
}

/// A chain's rails, from its first station to its last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rail {
    pub(super) from: i32,
    pub(super) to: i32,
    /// Of frames to the guest.
    pub(super) tx: i32,
    /// Of frames to the host.
    pub(super) rx: i32,
}

/// Everything, placed.
#[derive(Debug, Default)]
pub(super) struct Sheet<'t> {
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) groups: Vec<Group>,
    pub(super) rails: Vec<Rail>,
    pub(super) figures: Vec<Figure>,
    /// Which figure a place is.
    pub(super) places: BTreeMap<Place<'t>, usize>,
    /// Netdevs whose chardevs stand above them.
    pub(super) flipped: Vec<&'t str>,
}

impl<'t> Sheet<'t> {
    pub(super) fn put(&mut self, place: Place<'t>, figure: Figure) {
        self.places.entry(place).or_insert(self.figures.len());
        self.figures.push(figure);
    }

    pub(super) fn rect(&self, place: Place<'t>) -> Option<Rect> {
        Some(self.figures[*self.places.get(&place)?].rect)
    }
}
