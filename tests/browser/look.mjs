// Opens pages in the system's Chromium and tells, as JSON, what a person would see.
// Standard input: [{file, width, dark, png, height, filter}]. Nothing may leave the page: every request is reported.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const jobs = JSON.parse(readFileSync(0, "utf8"));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run"],
});

// What typing a letter costs in milliseconds: the work of the handler and the layout that it forces. The best of
// three rounds, since the machine does other things too.
const measure = () => {
  const rounds = [round(), round(), round()];
  return { times: rounds[0].map((_, n) => Math.min(...rounds.map((times) => times[n]))) };
  function round() {
    const search = document.getElementById("search");
    const times = [];
    for (const text of ["n", "no", "noé", "noém", "zzz", "martin cv", "", "2", ""]) {
      const start = performance.now();
      search.value = text;
      search.dispatchEvent(new Event("input"));
      document.body.getBoundingClientRect();
      times.push(performance.now() - start);
    }
    return times;
  }
};

const results = [];
for (const job of jobs) {
  const context = await browser.newContext({
    viewport: { width: job.width, height: job.height ?? 900 },
    colorScheme: job.dark ? "dark" : "light",
    bypassCSP: Boolean(job.axe),
  });
  const page = await context.newPage();
  const requests = [], errors = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
  page.on("dialog", (dialog) => { errors.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  await page.goto(`file://${job.file}`);
  const result = { file: job.file };
  for (const [action, ...rest] of job.steps ?? []) {
    if (action === "fill") await page.fill(rest[0], rest[1]);
    if (action === "click") await page.click(rest[0]);
    if (action === "select") await page.selectOption(rest[0], rest[1]);
    if (action === "press") await page.keyboard.press(rest[0]);
    if (action === "type") await page.keyboard.type(rest[0]);
  }
  if (job.filter) result.filter = await page.evaluate(measure);
  if (job.read) result.read = await page.evaluate((wanted) => Object.fromEntries(wanted.map((selector) =>
    [selector, Array.from(document.querySelectorAll(selector)).filter((node) => node.offsetParent !== null)
      .map((node) => node.textContent.trim())])), job.read);
  result.overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (job.png) await page.screenshot({ path: job.png, fullPage: !job.height });
  if (job.axe) {
    await page.evaluate(axeSource);
    const report = await page.evaluate(() => axe.run(document, {
      resultTypes: ["violations"], // What passes is not described: half the time.
      runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] },
    }));
    result.violations = report.violations.map(({ id, help, nodes }) =>
      ({ id, help, nodes: nodes.slice(0, 3).map((node) => node.html.slice(0, 200) + " " + (node.any[0]?.message ?? "")) }));
  }
  result.requests = requests.slice(1);
  result.errors = errors;
  results.push(result);
  await context.close();
}
await browser.close();
process.stdout.write(JSON.stringify(results));
