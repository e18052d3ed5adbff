// Draws the figures of `make bench ARGS=ingest` as an SVG: node bench/chart.mjs target/bench/ingest.json > docs/images/ingest.svg
import { readFileSync } from "node:fs";

const file = process.argv[2];
if (!file) {
    console.error("usage: node bench/chart.mjs target/bench/ingest.json > docs/images/ingest.svg");
    process.exit(2);
}
const { postgres, cores, backfills } = JSON.parse(readFileSync(file, "utf8"));

const WIDTH = 860;
const LEFT = 20;
const BAR = 16;
const ROW = 74;
const TOP = 56;
const MOST_BAR = 620;

const bars = [
    { key: "logsPerSecond", name: "Meikan, all checks on", colour: "#2f6f4f" },
    { key: "copyAloneLogsPerSecond", name: "COPY alone of the same rows", colour: "#b9c4bd" },
];
const escape = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const count = (number) => Math.round(number).toLocaleString("en-US");
const most = Math.max(...backfills.flatMap((backfill) => bars.map((bar) => backfill[bar.key])));
const text = (x, y, size, content, colour = "#222") =>
    `<text x="${x}" y="${y}" font-size="${size}" fill="${colour}">${escape(content)}</text>`;

const rows = backfills.flatMap((backfill, place) => {
    const y = TOP + place * ROW;
    const drawn = bars.flatMap((bar, nth) => {
        const width = Math.max(2, (backfill[bar.key] / most) * MOST_BAR);
        const top = y + 14 + nth * (BAR + 4);
        return [
            `<rect x="${LEFT}" y="${top}" width="${width.toFixed(1)}" height="${BAR}" rx="2" fill="${bar.colour}"/>`,
            text(LEFT + width + 6, top + 12, 12, `${count(backfill[bar.key])} logs/s`),
        ];
    });
    const took = `${backfill.name}: ${backfill.seconds.toFixed(1)} s, ${count(backfill.requests)} requests, peak ${backfill.peakMegabytes} MB`;
    return [text(LEFT, y + 6, 13, took), ...drawn];
});
const legend = bars.flatMap((bar, nth) => [
    `<rect x="${LEFT + nth * 210}" y="14" width="12" height="12" rx="2" fill="${bar.colour}"/>`,
    text(LEFT + 18 + nth * 210, 24, 12, bar.name),
]);
const height = TOP + backfills.length * ROW + 16;
console.log(
    [
        `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" role="img">`,
        `<title>Backfills beside COPY of the same rows: Postgres ${escape(postgres)}, ${cores} cores</title>`,
        `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
        ...legend,
        ...rows,
        text(LEFT, height - 6, 11, `Postgres ${postgres}, chain node, server and node on ${cores} cores`, "#666"),
        "</svg>",
    ].join("\n"),
);
