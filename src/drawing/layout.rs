//! Where the parts of a topology stand: a machine is a stack of bands, a netdev's chain and below
//! it the chardevs of its filters, at last the comparers with theirs. Every second machine is
//! turned over, so that the chardevs of two that talk to each other stand side by side.

use std::collections::BTreeMap;

use super::{
    geometry::{Figure, Group, Rail, Rect, Sheet},
    place::Place,
    topology::{Chain, Chardev, Far, Filtered, Machine, Network, Object, Topology, WireKind},
};

const MARGIN: i32 = 14;
/// Above a group's content, for its title.
const TITLE: i32 = 30;
/// Between bands: room for an arrow and its label.
const BAND_GAP: i32 = 50;
const GROUP_GAP: i32 = 44;
/// Between the stations of a chain.
const STATION_GAP: i32 = 26;
const CHARDEV: i32 = 40;
/// A port below its chardev.
const PORT: i32 = 24;
const PORT_GAP: i32 = 12;
/// Above a chain with packet sockets.
const ARC: i32 = 30;

/// Places everything.
pub(super) fn layout(topology: &Topology) -> Sheet<'_> {
    let mut sheet = Sheet::default();
    let mut y = 0;
    if !topology.networks.is_empty() {
        y = networks(&mut sheet, &topology.networks) + GROUP_GAP;
    }
    for (at, machine) in topology.machines.iter().enumerate() {
        // The case's own profile is the same for all: it is said where the case is named.
        let profile = machine.profile.as_ref();
        let profile = profile.map_or_else(String::new, |name| format!("  [{name}]"));
        let title = match machine.name.as_str() {
            "" => "machine".to_owned(),
            name => format!("{name}{profile}"),
        };
        let flipped = at % 2 == 1;
        let mut bands = bands(topology, machine, flipped);
        if flipped {
            bands.reverse();
            sheet.flipped.extend(machine.chains.iter().map(|chain| chain.netdev.as_str()));
        }
        y = stack(&mut sheet, y, title, bands) + GROUP_GAP;
    }
    sheet.height = (y - GROUP_GAP).max(0);
    let width = sheet.groups.iter().map(|group| group.rect.right()).max();
    sheet.width = width.unwrap_or(0);
    for group in &mut sheet.groups {
        if group.rect.x == 0 && topology.networks.is_empty() {
            group.rect.w = sheet.width;
        }
    }
    sheet
}

/// Figures whose places count from the band's own corner.
#[derive(Default)]
struct Band<'t> {
    height: i32,
    figures: Vec<(Place<'t>, Figure)>,
    rail: Option<Rail>,
}

impl Band<'_> {
    fn width(&self) -> i32 {
        let rights = self.figures.iter().map(|(_, figure)| figure.rect.right());
        rights.max().unwrap_or(0)
    }
}

/// Puts bands below each other into a frame; the y of its end.
fn stack<'t>(sheet: &mut Sheet<'t>, top: i32, title: String, bands: Vec<Band<'t>>) -> i32 {
    let mut y = top + TITLE;
    let widest = bands.iter().map(Band::width).max().unwrap_or(0);
    for band in bands {
        for (place, mut figure) in band.figures {
            figure.rect.x += MARGIN;
            figure.rect.y += y;
            sheet.put(place, figure);
        }
        sheet.rails.extend(band.rail.map(|rail| Rail {
            from: rail.from + MARGIN,
            to: rail.to + MARGIN,
            tx: rail.tx + y,
            rx: rail.rx + y,
        }));
        y += band.height + BAND_GAP;
    }
    let end = (y - BAND_GAP).max(top + TITLE) + MARGIN;
    let rect = Rect { x: 0, y: top, w: widest.max(160) + 2 * MARGIN, h: end - top };
    sheet.groups.push(Group { rect, title });
    end
}

fn bands<'t>(topology: &Topology, machine: &'t Machine, flipped: bool) -> Vec<Band<'t>> {
    let mut left: Vec<&Chardev> = machine.chardevs.iter().collect();
    let mut bands = Vec::new();
    let mut hubs = Vec::new();
    for chain in &machine.chains {
        let band = self::chain(machine, chain, flipped, &mut hubs);
        let wanted = wanted(&chain.filters, &band, &mut left);
        let files = files(machine, &chain.filters, &band);
        bands.push(band);
        bands.extend(terminals(machine, wanted, files, flipped));
    }
    let (busy, idle): (Vec<&Object>, Vec<&Object>) =
        machine.objects.iter().partition(|object| !object.wires.is_empty());
    if !busy.is_empty() {
        let parts = (busy.as_slice(), bands.as_slice());
        let (chardevs, objects) = comparers(topology, machine, parts, &mut left, flipped);
        bands.extend(chardevs);
        bands.push(objects);
    }
    bands.extend(rest(machine, &left, &idle, flipped));
    bands
}

/// A chain on its two rails: a filter stands on the rail whose frames it sees.
fn chain<'t>(
    machine: &'t Machine,
    chain: &'t Chain,
    flipped: bool,
    hubs: &mut Vec<u32>,
) -> Band<'t> {
    let remarks = chain.filters.iter().any(|filter| !filter.remarks().is_empty());
    let filter = if remarks { 54 } else { 40 };
    let height = 2 * filter + 8;
    let packets = chain
        .filters
        .iter()
        .flat_map(|filter| &filter.wires)
        .any(|wire| wire.kind == WireKind::Netdev);
    let top = if packets && !flipped { ARC } else { 0 };
    let mut band = Band { height: height + if packets { ARC } else { 0 }, ..Band::default() };
    let mut x = 0;
    let mut put = |band: &mut Band<'t>, place, figure: Figure, y: i32, gap: i32| {
        let figure = figure.at(x, y);
        x = figure.rect.right() + gap;
        band.figures.push((place, figure));
    };
    let port = |port: &super::Port| {
        let lines = [&[machine.local(&port.id).to_owned()], &port.notes[..]].concat();
        Figure::new("p", 20, lines, height)
    };
    if let Some(host) = &chain.host {
        put(&mut band, Place::Interface(&host.id), port(host), top, 34);
    }
    if let Some(hub) = chain.hub {
        let figure = Figure::new("u", 30, vec![format!("hub {hub}")], height);
        let place = Place::Hub(&machine.name, hub);
        // Every netdev of a hub stands beside it; they are one.
        if !hubs.contains(&hub) {
            hubs.push(hub);
        }
        put(&mut band, place, figure, top, 34);
    }
    let mut lines = vec![machine.local(&chain.netdev).to_owned()];
    lines.extend(chain.detail.iter().cloned());
    lines.extend(chain.added.map(|step| format!("step {step}")));
    let class = if chain.added.is_some() { "n a" } else { "n" };
    let netdev = Figure::new(class, 4, lines, height);
    put(&mut band, Place::Netdev(&chain.netdev), netdev, top, 34);
    for one in &chain.filters {
        let (y, h) = match one.filtered {
            Some(Filtered::Tx) => (top, filter),
            Some(Filtered::Rx) => (top + height - filter, filter),
            _ => (top, height),
        };
        let place = Place::Object(&one.id);
        put(&mut band, place, object(machine, one, h), y, STATION_GAP);
    }
    if let Some(guest) = &chain.guest {
        let last = band.figures.last().map_or(0, |(_, figure)| figure.rect.right());
        let figure = port(guest).at(last + 40, top);
        band.figures.push((Place::Interface(&guest.id), figure));
    }
    let from = band.figures.first().map_or(0, |(_, figure)| figure.rect.right());
    let to = band.figures.last().map_or(0, |(_, figure)| figure.rect.x);
    if from < to {
        let (tx, rx) = (top + filter / 2, top + height - filter / 2);
        band.rail = Some(Rail { from, to, tx, rx });
    }
    band
}

fn object(machine: &Machine, object: &Object, height: i32) -> Figure {
    let mut class = match object.filtered {
        Some(Filtered::Tx) => "f t",
        Some(Filtered::Rx) => "f r",
        Some(Filtered::All) => "f l",
        None => "o",
    }
    .to_owned();
    class += if object.refused.is_some() { " x" } else { "" };
    class += if object.added.is_some() { " a" } else { "" };
    let mut lines = vec![machine.local(&object.id).to_owned(), object.kind.clone()];
    let remarks = object.remarks();
    if !remarks.is_empty() {
        lines.push(remarks.join(", "));
    }
    Figure::new(&class, 4, lines, height)
}

/// A chardev or a file, and where it would like its middle to be.
struct Terminal<'t> {
    place: Place<'t>,
    figure: Figure,
    /// The port at its far end.
    port: Option<(Place<'t>, Figure)>,
    center: i32,
}

fn terminal<'t>(machine: &'t Machine, chardev: &'t Chardev, center: i32) -> Terminal<'t> {
    let class = match (&chardev.far, chardev.added) {
        (Far::Undeclared, _) => "c x",
        (_, Some(_)) => "c a",
        _ => "c",
    };
    let mut lines = vec![machine.local(&chardev.id).to_owned(), chardev.detail.clone()];
    if let (Some(step), Some(detail)) = (chardev.added, lines.last_mut()) {
        *detail += &format!(", step {step}");
    }
    let port = match &chardev.far {
        Far::Port { framing, connected } => {
            let open = if *connected { "" } else { ", closed" };
            let name = format!("{} ({framing}{open})", machine.local(&chardev.id));
            let figure = Figure::new("p", 12, vec![name], PORT);
            Some((Place::Far(chardev.id.as_str()), figure))
        }
        _ => None,
    };
    Terminal {
        place: Place::Chardev(&chardev.id),
        figure: Figure::new(class, 4, lines, CHARDEV),
        port,
        center,
    }
}

/// The chardevs of filters that have no place yet, each below its filter.
fn wanted<'t>(
    filters: &'t [Object],
    band: &Band<'t>,
    left: &mut Vec<&'t Chardev>,
) -> Vec<(&'t Chardev, i32)> {
    let mut wanted = Vec::new();
    for filter in filters {
        let place = Place::Object(&filter.id);
        let at = band.figures.iter().find(|(one, _)| *one == place);
        let center = at.map_or(0, |(_, figure)| figure.rect.center());
        for wire in filter.wires.iter().filter(|wire| wire.kind == WireKind::Chardev) {
            if let Some(at) = left.iter().position(|one| one.id == wire.target) {
                wanted.push((left.remove(at), center));
            }
        }
    }
    wanted
}

fn files<'t>(machine: &'t Machine, filters: &'t [Object], band: &Band<'t>) -> Vec<Terminal<'t>> {
    let mut files = Vec::new();
    for filter in filters {
        let place = Place::Object(&filter.id);
        let at = band.figures.iter().find(|(one, _)| *one == place);
        let center = at.map_or(0, |(_, figure)| figure.rect.center());
        for wire in filter.wires.iter().filter(|wire| wire.kind == WireKind::File) {
            files.push(Terminal {
                place: Place::File(&wire.target),
                figure: Figure::new("p", 12, vec![machine.local(&wire.target).to_owned()], PORT),
                port: None,
                center,
            });
        }
    }
    files
}

fn terminals<'t>(
    machine: &'t Machine,
    chardevs: Vec<(&'t Chardev, i32)>,
    files: Vec<Terminal<'t>>,
    flipped: bool,
) -> Option<Band<'t>> {
    let mut terminals: Vec<_> =
        chardevs.into_iter().map(|(chardev, center)| terminal(machine, chardev, center)).collect();
    terminals.extend(files);
    (!terminals.is_empty()).then(|| row(terminals, flipped))
}

/// Side by side, each as near to where it would like to be as the others let it.
fn row(mut terminals: Vec<Terminal<'_>>, flipped: bool) -> Band<'_> {
    // Those of one filter stand around its middle.
    let mut around: BTreeMap<i32, i32> = BTreeMap::new();
    for terminal in &terminals {
        *around.entry(terminal.center).or_default() += terminal.width() + 16;
    }
    let mut begun: BTreeMap<i32, i32> = BTreeMap::new();
    terminals.sort_by_key(|terminal| terminal.center);
    let has_port = terminals.iter().any(|terminal| terminal.port.is_some());
    let shift = if has_port { PORT + PORT_GAP } else { 0 };
    let mut band = Band { height: CHARDEV + shift, ..Band::default() };
    let mut free = 0;
    for terminal in terminals {
        let (width, center) = (terminal.width(), terminal.center);
        let begun = begun.entry(center).or_insert_with(|| center - (around[&center] - 16) / 2);
        let x = (*begun).max(free);
        *begun = x + width + 16;
        free = x + width + 16;
        let mut at = |place, figure: Figure, y| {
            let left = x + (width - figure.rect.w) / 2;
            band.figures.push((place, figure.at(left, y)));
        };
        at(terminal.place, terminal.figure, if flipped { shift } else { 0 });
        if let Some((place, figure)) = terminal.port {
            at(place, figure, if flipped { 0 } else { CHARDEV + PORT_GAP });
        }
    }
    band
}

impl Terminal<'_> {
    fn width(&self) -> i32 {
        let port = self.port.as_ref().map_or(0, |(_, figure)| figure.rect.w);
        self.figure.rect.w.max(port)
    }
}

/// Objects that are on no netdev, and what they read and write that has no place yet: each below
/// the chardev that it is joined to, its port on the other side than the object.
fn comparers<'t>(
    topology: &Topology,
    machine: &'t Machine,
    (objects, above): (&[&'t Object], &[Band<'t>]),
    left: &mut Vec<&'t Chardev>,
    flipped: bool,
) -> (Option<Band<'t>>, Band<'t>) {
    let (mut terminals, mut x) = (Vec::new(), 0);
    let mut band = Band { height: 54, ..Band::default() };
    for one in objects {
        let from = x;
        let mut own = Vec::new();
        for wire in &one.wires {
            if let Some(at) = left.iter().position(|known| known.id == wire.target) {
                let chardev = left.remove(at);
                own.push((partner(topology, chardev, above), terminal(machine, chardev, 0)));
            }
        }
        // Those without a partner stand where their property is.
        own.sort_by_key(|(partner, _)| *partner);
        for (partner, mut terminal) in own {
            let half = terminal.width() / 2;
            terminal.center = partner.map_or(x + half, |center| center.max(x + half));
            x = terminal.center + half + 16;
            terminals.push(terminal);
        }
        let figure = object(machine, one, 54);
        let middle = from + (x - 16 - from - figure.rect.w) / 2;
        let figure = figure.at(middle.max(from), 0);
        x = x.max(figure.rect.right() + 16);
        band.figures.push((Place::Object(&one.id), figure));
    }
    let chardevs = (!terminals.is_empty()).then(|| row(terminals, !flipped));
    (chardevs, band)
}

/// The middle of the chardev above that this one is joined to.
fn partner(topology: &Topology, chardev: &Chardev, above: &[Band<'_>]) -> Option<i32> {
    let joint = topology.joints.iter().find(|joint| joint.ends.contains(&chardev.id))?;
    let other = joint.ends.iter().find(|end| **end != chardev.id)?;
    let mut figures = above.iter().flat_map(|band| &band.figures);
    let found = figures.find(|(place, _)| *place == Place::Chardev(other));
    found.map(|(_, figure)| figure.rect.center())
}

/// What nothing is joined to.
fn rest<'t>(
    machine: &'t Machine,
    chardevs: &[&'t Chardev],
    objects: &[&'t Object],
    flipped: bool,
) -> Option<Band<'t>> {
    let mut x = 0;
    let mut terminals: Vec<Terminal<'t>> = Vec::new();
    for one in objects {
        let figure = object(machine, one, CHARDEV);
        let center = x + figure.rect.w / 2;
        x += figure.rect.w + 16;
        terminals.push(Terminal { place: Place::Object(&one.id), figure, port: None, center });
    }
    for chardev in chardevs {
        let mut terminal = terminal(machine, chardev, 0);
        terminal.center = x + terminal.width() / 2;
        x += terminal.width() + 16;
        terminals.push(terminal);
    }
    (!terminals.is_empty()).then(|| row(terminals, flipped))
}

/// The host side, a frame for each namespace; the y of its end.
fn networks<'t>(sheet: &mut Sheet<'t>, networks: &'t [Network]) -> i32 {
    let (mut left, mut end) = (0, 0);
    for network in networks {
        let mut x = left + MARGIN;
        let mut put = |sheet: &mut Sheet<'t>, place, figure: Figure| {
            let figure = figure.at(x, TITLE);
            x = figure.rect.right() + STATION_GAP;
            sheet.put(place, figure);
        };
        for bridge in &network.bridges {
            let mut lines = vec![bridge.id.clone(), "bridge".to_owned()];
            lines.extend(bridge.addresses.iter().cloned());
            put(sheet, Place::Interface(&bridge.id), Figure::new("b", 4, lines, 54));
        }
        for one in &network.ends {
            let mut lines = vec![one.port.id.clone()];
            lines.extend(one.addresses.iter().chain(&one.port.notes).cloned());
            put(sheet, Place::Interface(&one.port.id), Figure::new("p", 20, lines, 54));
        }
        let title = match &network.name {
            Some(name) => format!("namespace {name}"),
            None => "host".to_owned(),
        };
        let routes: Vec<String> = network.routes.iter().map(|one| format!("route {one}")).collect();
        let title = [&[title], &routes[..]].concat().join("  ");
        let w = (x - STATION_GAP - left).max(super::markup::width(&title, 66) + MARGIN) + MARGIN;
        let rect = Rect { x: left, y: 0, w, h: TITLE + 54 + MARGIN };
        left = rect.right() + 24;
        end = rect.bottom();
        sheet.groups.push(Group { rect, title });
    }
    end
}
