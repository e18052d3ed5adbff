// Draws the figures of `make bench ARGS=ingest`, or of `ARGS=serving`, as an SVG:
// node bench/chart.mjs target/bench/ingest.json > docs/images/ingest.svg
import { readFileSync } from "node:fs";

const file = process.argv[2];
if (!file) {
    console.error("usage: node bench/chart.mjs target/bench/ingest.json > docs/images/ingest.svg");
    process.exit(2);
}
const figures = JSON.parse(readFileSync(file, "utf8"));
const { postgres, cores } = figures;

const WIDTH = 860;
const LEFT = 20;
const BAR = 16;
const GAP = 34;
const TOP = 56;
const MOST_BAR = 620;

const count = (number) => Math.round(number).toLocaleString("en-US");
const ours = (name) => ({ name, colour: "#2f6f4f" });
const floor = (name) => ({ name, colour: "#b9c4bd" });

// A group of bars for each measurement: ours, and the floor that it is held against.
const ingest = ({ backfills }) => ({
    title: "Backfills beside COPY of the same rows",
    unit: "logs/s",
    beside: "chain node",
    bars: [ours("Meikan, all checks on"), floor("COPY alone of the same rows")],
    groups: backfills.map((backfill) => ({
        head: `${backfill.name}: ${backfill.seconds.toFixed(1)} s, ${count(backfill.requests)} requests, peak ${backfill.peakMegabytes} MB`,
        rates: [backfill.logsPerSecond, backfill.copyAloneLogsPerSecond],
    })),
});
const serving = ({ serving }) => ({
    title: "Answers beside pgbench and a constant answer",
    unit: "answers/s",
    beside: "client",
    bars: [ours("Meikan"), floor("pgbench, the same SQL; of kept answers a constant one")],
    groups: serving.map(({ name, kept, connections, idle, pgbench, constant }) => ({
        head: `${name}${kept ? ", kept" : ""}, ${count(connections)} connection${connections > 1 ? "s" : ""}: p99 ${idle.p99Ms.toFixed(1)} ms`,
        rates: [idle.perSecond, (kept ? constant : pgbench)?.perSecond],
    })),
});

const escape = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const text = (x, y, size, content, colour = "#222") =>
    `<text x="${x}" y="${y}" font-size="${size}" fill="${colour}">${escape(content)}</text>`;

const { title, unit, beside, bars, groups } = figures.serving ? serving(figures) : ingest(figures);
const most = Math.max(...groups.flatMap(({ rates }) => rates.filter((rate) => rate)));
const row = bars.length * (BAR + 4) + GAP;
const rows = groups.flatMap(({ head, rates }, place) => {
    const y = TOP + place * row;
    const drawn = bars.flatMap((bar, nth) => {
        if (!rates[nth]) return [];
        const width = Math.max(2, (rates[nth] / most) * MOST_BAR);
        const top = y + 14 + nth * (BAR + 4);
        return [
            `<rect x="${LEFT}" y="${top}" width="${width.toFixed(1)}" height="${BAR}" rx="2" fill="${bar.colour}"/>`,
            text(LEFT + width + 6, top + 12, 12, `${count(rates[nth])} ${unit}`),
        ];
    });
    return [text(LEFT, y + 6, 13, head), ...drawn];
});
const legend = bars.flatMap((bar, nth) => [
    `<rect x="${LEFT + nth * 210}" y="14" width="12" height="12" rx="2" fill="${bar.colour}"/>`,
    text(LEFT + 18 + nth * 210, 24, 12, bar.name),
]);
const height = TOP + groups.length * row + 16;
console.log(
    [
        `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" role="img">`,
        `<title>${escape(title)}: Postgres ${escape(postgres)}, ${cores} cores</title>`,
        `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
        ...legend,
        ...rows,
        text(LEFT, height - 6, 11, `Postgres ${postgres}, ${beside}, server and node on ${cores} cores`, "#666"),
        "</svg>",
    ].join("\n"),
);
