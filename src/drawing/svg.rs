//! Topologies and ladders as SVG, for `graph --format svg` and the HTML report.

use super::{
    geometry::{Rect, Sheet},
    layout::layout,
    markup::{Heading, Markup, escaped},
    place::Place,
    topology::{Far, JointKind, Topology, Way, WireKind},
};

/// How topologies and ladders are drawn: classes of a letter or two, and the colours of light and
/// dark screens. A page needs it once, a picture of its own has it inside.
pub const STYLE: &str = include_str!("style.css");

/// A picture without its outer element, to be put into a page or a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Picture {
    /// Pixels.
    pub width: i32,
    /// Pixels.
    pub height: i32,
    /// Elements of SVG.
    pub body: String,
}

/// A topology as an SVG file: it needs nothing else, and follows the light or dark screen.
#[must_use]
pub fn svg(topology: &Topology, title: &str) -> String {
    let Picture { width, height, body } = symbol(topology);
    let title = escaped(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tw\" width=\"{width}\" \
         height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n{body}\n</svg>\n"
    )
}

/// A topology as a picture that a page can use in several places.
#[must_use]
pub fn symbol(topology: &Topology) -> Picture {
    let sheet = layout(topology);
    let mut out = Markup::default();
    for group in &sheet.groups {
        let Rect { x, y, w, h } = group.rect;
        out.put(format_args!(
            "<rect class=\"g\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"10\"/>",
            x + 1,
            y + 1,
            w - 2,
            h - 2
        ));
        out.text((x + 14, y + 20), "h", &group.title);
    }
    for rail in &sheet.rails {
        let (from, to) = (rail.from, rail.to);
        for (y, class) in [(rail.tx, "t"), (rail.rx, "r")] {
            out.put(format_args!("<path class=\"w {class}\" d=\"M{from} {y}H{to}\"/>"));
        }
        out.tip((to, rail.tx), Heading::Right, "i t");
        out.tip((from, rail.rx), Heading::Left, "i r");
        out.text((from + 6, rail.tx - 6), "s t", "tx");
        out.text((to - 6, rail.rx + 14), "s r e", "rx");
    }
    let mut labels = Markup::default();
    let mut edges =
        Edges { sheet: &sheet, out: &mut out, labels: &mut labels, labelled: Vec::new() };
    edges.draw(topology);
    for figure in &sheet.figures {
        self::figure(&mut out, figure);
    }
    let mut body = out.finish();
    body += &labels.finish();
    Picture { width: sheet.width, height: sheet.height, body }
}

fn figure(out: &mut Markup, figure: &super::geometry::Figure) {
    let Rect { x, y, w, h } = figure.rect;
    let (class, round) = (&figure.class, figure.round);
    out.put(format_args!("<g class=\"{class}\">"));
    if let Some(tip) = &figure.tip {
        out.put(format_args!("<title>{}</title>", escaped(tip)));
    }
    out.put(format_args!(
        "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"{round}\"/>"
    ));
    let lines = i32::try_from(figure.lines.len()).unwrap_or(1);
    let mut baseline = figure.rect.middle() + 4 - (lines - 1) * 13 / 2;
    for (at, line) in figure.lines.iter().enumerate() {
        let class = if at == 0 { "m" } else { "m s" };
        out.text((figure.rect.center(), baseline), class, line);
        baseline += 13;
    }
    out.put(format_args!("</g>"));
}

struct Edges<'s, 't> {
    sheet: &'s Sheet<'t>,
    out: &'s mut Markup,
    labels: &'s mut Markup,
    /// Where labels stand.
    labelled: Vec<(i32, i32)>,
}

impl<'t> Edges<'_, 't> {
    fn draw(&mut self, topology: &'t Topology) {
        for joint in &topology.joints {
            let [one, other] = &joint.ends;
            let (from, to, class) = match joint.kind {
                JointKind::Chardevs => (Place::Chardev(one), Place::Chardev(other), "w j"),
                JointKind::Link | JointKind::Bridge => {
                    (Place::Interface(one), Place::Interface(other), "w k")
                }
            };
            self.joint(from, to, class);
        }
        for machine in &topology.machines {
            for object in machine.all_objects() {
                let count = i32::try_from(object.wires.len()).unwrap_or(1);
                for (at, wire) in (1..).zip(&object.wires) {
                    let Some(rect) = self.sheet.rect(Place::Object(&object.id)) else {
                        continue;
                    };
                    let x = rect.x + rect.w * at / (count + 1);
                    let target = Place::of_wire(wire);
                    let Some(far) = self.sheet.rect(target) else {
                        continue;
                    };
                    let (into, out_of) = (wire.way != Way::Out, wire.way != Way::In);
                    if wire.kind == WireKind::Netdev {
                        self.arc(far, (x, rect), into, &wire.property, &wire.target);
                    } else {
                        self.wire((x, rect), far, into, out_of, &wire.property);
                    }
                }
            }
            for chardev in &machine.chardevs {
                let far = Place::Far(&chardev.id);
                let rects = (self.sheet.rect(Place::Chardev(&chardev.id)), self.sheet.rect(far));
                if let ((Some(one), Some(port)), Far::Port { connected, .. }) =
                    (rects, &chardev.far)
                {
                    let (from, to) = if port.y > one.y {
                        (one.bottom(), port.y)
                    } else {
                        (port.bottom(), one.y)
                    };
                    let x = one.center();
                    let class = if *connected { "w" } else { "w a" };
                    self.out.put(format_args!("<path class=\"{class}\" d=\"M{x} {from}V{to}\"/>"));
                }
            }
        }
    }

    /// Two things that are joined, each from the side that faces the other.
    fn joint(&mut self, from: Place<'t>, to: Place<'t>, class: &str) {
        let (Some(a), Some(b)) = (self.sheet.rect(from), self.sheet.rect(to)) else {
            return;
        };
        let (x1, x2) = (a.center(), b.center());
        let path = if a.bottom() < b.y || b.bottom() < a.y {
            let (y1, y2) = if a.bottom() < b.y { (a.bottom(), b.y) } else { (a.y, b.bottom()) };
            let middle = (y1 + y2) / 2;
            format!("M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}")
        } else {
            let (y1, y2) = (a.bottom(), b.bottom());
            let low = y1.max(y2) + 28;
            format!("M{x1} {y1}C{x1} {low} {x2} {low} {x2} {y2}")
        };
        self.out.put(format_args!("<path class=\"{class}\" d=\"{path}\"/>"));
    }

    /// Between an object and its chardev; the label stands at the chardev.
    fn wire(
        &mut self,
        (x1, object): (i32, Rect),
        far: Rect,
        into: bool,
        out_of: bool,
        property: &str,
    ) {
        let below = far.y > object.y;
        let (y1, y2) = if below { (object.bottom(), far.y) } else { (object.y, far.bottom()) };
        let (x2, middle) = (far.center(), (y1 + y2) / 2);
        self.out.put(format_args!(
            "<path class=\"w\" d=\"M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}\"/>"
        ));
        let (to_object, to_far) =
            if below { (Heading::Up, Heading::Down) } else { (Heading::Down, Heading::Up) };
        if into {
            self.out.tip((x1, y1), to_object, "i");
        }
        if out_of {
            self.out.tip((x2, y2), to_far, "i");
        }
        let mut y = if below { y2 - 12 } else { y2 + 18 };
        while self.labelled.contains(&(x2, y)) {
            y += if below { -11 } else { 11 };
        }
        self.labelled.push((x2, y));
        self.labels.text((x2, y), "v", property);
    }

    /// A packet socket: past the chain, between a TAP and a filter.
    fn arc(
        &mut self,
        netdev: Rect,
        (x2, filter): (i32, Rect),
        into: bool,
        property: &str,
        target: &str,
    ) {
        let x1 = netdev.center();
        let flipped = self.sheet.flipped.contains(&target);
        let path = if netdev.bottom() <= filter.y || filter.bottom() <= netdev.y {
            let (y1, y2) = if netdev.y < filter.y {
                (netdev.bottom(), filter.y)
            } else {
                (netdev.y, filter.bottom())
            };
            let middle = (y1 + y2) / 2;
            self.labels.text(((x1 + x2) / 2, middle - 4), "v", property);
            let heading = if y1 < y2 { Heading::Down } else { Heading::Up };
            let back = if y1 < y2 { Heading::Up } else { Heading::Down };
            if into {
                self.out.tip((x2, y2), heading, "i q");
            } else {
                self.out.tip((x1, y1), back, "i q");
            }
            format!("M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}")
        } else {
            let (y1, y2, rise, heading) = if flipped {
                let (y1, y2) = (netdev.bottom(), filter.bottom());
                (y1, y2, y1.max(y2) + 34, Heading::Up)
            } else {
                (netdev.y, filter.y, netdev.y.min(filter.y) - 34, Heading::Down)
            };
            let label = if flipped { rise - 12 } else { rise + 20 };
            self.labels.text(((x1 + x2) / 2, label), "v", property);
            let (x, y) = if into { (x2, y2) } else { (x1, y1) };
            self.out.tip((x, y), heading, "i q");
            format!("M{x1} {y1}C{x1} {rise} {x2} {rise} {x2} {y2}")
        };
        self.out.put(format_args!("<path class=\"w q\" d=\"{path}\"/>"));
    }
}
