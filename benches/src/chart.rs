//! The standings as a picture.

use std::fmt::Write;

use crate::contest::Standing;
use crate::report::thousands;
use crate::stats::Spread;

const WIDTH: f64 = 960.0;
const LABELS: f64 = 420.0;
const BAR: f64 = 20.0;
const ROW: f64 = 30.0;
const TOP: f64 = 48.0;

/// What the longest bar leaves to its right, for its number.
const NUMBERS: f64 = 90.0;

/// Bars of the median rates in SVG, with a whisker from the slowest to the fastest round.
pub fn draw(title: &str, standings: &[Standing]) -> String {
    let most = standings.iter().map(|standing| standing.rate().max).fold(1.0, f64::max);
    let scale = (WIDTH - LABELS - NUMBERS) / most;
    let height = TOP + ROW * standings.len() as f64 + 12.0;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="16" y="28" font-size="16" fill="#1f2328">{}</text>
"##,
        escape(title)
    );
    for (row, standing) in standings.iter().enumerate() {
        bar(&mut svg, standing, TOP + ROW * row as f64, scale);
    }
    svg.push_str("</svg>\n");
    svg
}

fn bar(svg: &mut String, standing: &Standing, y: f64, scale: f64) {
    let Spread { median, min, max } = standing.rate();
    let color = if standing.contender.label.starts_with("stream-runtime") { "#0969da" } else { "#afb8c1" };
    let (middle, baseline) = (y + BAR / 2.0, y + BAR - 5.0);
    let (width, from, to) = (median * scale, LABELS + min * scale, LABELS + max * scale);
    // Writing to a string cannot fail.
    let _ = write!(
        svg,
        r##"<text x="{:.0}" y="{baseline:.0}" text-anchor="end" fill="#1f2328">{}</text>
<rect x="{LABELS}" y="{y:.0}" width="{width:.1}" height="{BAR}" fill="{color}"/>
<path d="M{from:.1} {middle:.0}H{to:.1}" stroke="#1f2328"/>
<text x="{:.1}" y="{baseline:.0}" fill="#1f2328">{}</text>
"##,
        LABELS - 10.0,
        escape(standing.contender.label),
        to + 8.0,
        thousands(median),
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
