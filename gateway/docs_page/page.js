// Shows /openapi.json, and lets each operation be tried. Everything is put into the page as text.

const byId = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

let spec;

function resolve(thing) {
  if (!thing?.$ref) return thing ?? {};
  const found = thing.$ref.slice(2).split("/").reduce((at, key) => at[key], spec);
  return thing.description ? { ...found, description: thing.description } : found;
}

// A schema of null or something else is shown as that something, with a question mark.
function unwrap(schema) {
  const other = schema.anyOf?.find((one) => one.type !== "null");
  if (other) return { schema: other, optional: true };
  if (Array.isArray(schema.type)) {
    const type = schema.type.find((one) => one !== "null");
    return { schema: { ...schema, type }, optional: schema.type.includes("null") };
  }
  return { schema, optional: false };
}

function typeName(given) {
  const { schema, optional } = unwrap(given);
  const mark = optional ? "?" : "";
  if (schema.$ref) return schema.$ref.split("/").pop() + mark;
  if (schema.type === "array") return `${typeName(schema.items)}[]${mark}`;
  if (schema.enum) return `enum${mark}`;
  return [schema.type, schema.format].filter(Boolean).join(" · ") + mark;
}

function fields(given, seen = []) {
  const named = unwrap(given).schema;
  if (named.type === "array") return fields(named.items, seen);
  const schema = resolve(named);
  if (!schema.properties || seen.includes(named.$ref)) return null;
  const list = make("ul", { class: "fields" });
  for (const [name, property] of Object.entries(schema.properties)) {
    const inner = fields(property, [...seen, named.$ref]);
    const values = unwrap(property).schema.enum ?? resolve(unwrap(property).schema).enum;
    list.append(
      make("li", {},
        make("code", {}, name), " ", make("span", { class: "type" }, typeName(property)), " ",
        schema.required?.includes(name) ? make("span", { class: "must" }, "required") : null,
        property.description ? make("div", { class: "told" }, property.description) : null,
        values ? make("div", { class: "type" }, values.join(" | ")) : null,
        inner ? make("details", {}, make("summary", { class: "type" }, "fields"), inner) : null));
  }
  return list;
}

// What a person might send: required fields, and the first choice where one of several is.
function example(given, depth = 0) {
  const named = unwrap(given).schema;
  const schema = resolve(named);
  if (schema.enum) return schema.enum[1] ?? schema.enum[0];
  if (schema.type === "array") return depth > 3 ? [] : [example(schema.items, depth + 1)];
  if (schema.properties) {
    const names = Object.keys(schema.properties);
    const wanted = schema.required ?? (schema.maxProperties === 1 ? names.slice(0, 1) : names);
    return Object.fromEntries(
      wanted.map((name) => [name, depth > 5 ? null : example(schema.properties[name], depth + 1)]));
  }
  if (schema.format === "date-time") return new Date(Date.now() + 864e5).toISOString();
  if (schema.pattern?.endsWith("s$")) return "3600s";
  if (schema.type === "integer" || schema.type === "number") return 10;
  if (schema.type === "boolean") return false;
  return "";
}

function parameterTable(parameters) {
  if (!parameters.length) return null;
  const rows = parameters.map((one) =>
    make("tr", {},
      make("td", {}, one.name, one.required ? make("span", { class: "must" }, " *") : ""),
      make("td", { class: "type" }, `${one.in} · ${typeName(one.schema)}`),
      make("td", { class: "told" }, one.description ?? "")));
  return make("div", {}, make("h4", {}, "Parameters"), make("table", {}, ...rows));
}

function responseList(responses) {
  const box = make("div", {}, make("h4", {}, "Answers"));
  for (const [status, given] of Object.entries(responses)) {
    const response = resolve(given);
    const schema = Object.values(response.content ?? {})[0]?.schema;
    const inner = schema && status < 400 ? fields(schema) : null;
    const head = [make("code", {}, status), " ", response.description, " ",
      make("span", { class: "type" }, schema ? typeName(schema) : "")];
    box.append(inner
      ? make("details", {}, make("summary", {}, ...head), inner)
      : make("div", { class: "told" }, ...head));
  }
  return box;
}

function shellQuote(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function tryIt(path, verb, operation) {
  const inputs = new Map();
  const form = make("form", { class: "try" });
  for (const one of operation.parameters) {
    const input = make("input", { name: one.name, required: one.in === "path", autocomplete: "off" });
    inputs.set(one, input);
    form.append(make("label", {}, `${one.name} (${one.in})`, input));
  }
  const schema = operation.requestBody?.content["application/json"].schema;
  const body = schema
    ? make("textarea", { spellcheck: false, "aria-label": "Body",
        value: JSON.stringify(example(schema), null, 2) })
    : null;
  const curl = make("pre", { hidden: true });
  const status = make("p", { class: "status", role: "status" });
  const shown = make("pre", { hidden: true });

  function request() {
    let url = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const [one, input] of inputs) {
      if (one.in === "path") url = url.replace(`{${one.name}}`, encodeURIComponent(input.value));
      else if (input.value && one.in === "query") query.append(one.name, input.value);
      else if (input.value) headers[one.name] = input.value;
    }
    if (query.size) url += `?${query}`;
    const token = byId("token").value.trim();
    if (token) headers.authorization = `Bearer ${token}`;
    if (body) headers["content-type"] = "application/json";
    return { url, headers };
  }

  async function send(event) {
    event.preventDefault();
    const { url, headers } = request();
    const began = performance.now();
    status.className = "status";
    status.textContent = "…";
    try {
      const answer = await fetch(url, {
        method: verb.toUpperCase(), headers, body: body?.value, cache: "no-store" });
      const text = await answer.text();
      const took = Math.round(performance.now() - began);
      status.classList.add(answer.ok ? "good" : "bad");
      const id = answer.headers.get("x-request-id") ?? "";
      status.textContent = `${answer.status} · ${took} ms · ${text.length} characters · ${id}`;
      shown.textContent = pretty(text);
      shown.hidden = !text;
    } catch (error) {
      status.classList.add("bad");
      status.textContent = `Nothing came back: ${error.message}`;
    }
  }

  function showCurl() {
    const { url, headers } = request();
    const parts = ["curl", "-X", verb.toUpperCase(), shellQuote(location.origin + url)];
    for (const [name, value] of Object.entries(headers)) {
      parts.push("\\\n  -H", shellQuote(`${name}: ${value}`));
    }
    if (body) parts.push("\\\n  -d", shellQuote(body.value));
    curl.textContent = parts.join(" ");
    curl.hidden = false;
  }

  form.addEventListener("submit", send);
  form.append(...[body,
    make("button", { class: "send" }, "Send"), " ",
    make("button", { type: "button", onclick: showCurl }, "as curl"),
    curl, status, shown].filter(Boolean));
  return form;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function article(path, verb, operation) {
  const schema = operation.requestBody?.content["application/json"].schema;
  const open = operation.security.some((one) => !Object.keys(one).length);
  const details = make("details", {},
    make("summary", {},
      make("span", { class: `verb ${verb}` }, verb.toUpperCase()),
      make("span", { class: "path" }, path),
      make("span", { class: "summary" }, operation.summary),
      open ? make("span", { class: "open" }, "no token needed") : null));
  // Filled when opened: most of a long document is never looked at.
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector(".body")) return;
    details.append(make("div", { class: "body" },
      make("p", { class: "told" }, operation.description),
      parameterTable(operation.parameters),
      schema ? make("h4", {}, "Body") : null,
      schema ? fields(schema) : null,
      responseList(operation.responses),
      make("h4", {}, "Try it"),
      tryIt(path, verb, operation)));
  });
  return make("article", { id: operation.operationId }, details);
}

function show() {
  byId("version").textContent = spec.info.version;
  byId("about").textContent = spec.info.description;
  for (const tag of spec.tags) {
    const section = make("section", { class: "tag" },
      make("h2", {}, tag.name), make("p", { class: "about" }, tag.description ?? ""));
    const links = make("div", {}, make("h2", {}, tag.name));
    for (const [path, item] of Object.entries(spec.paths)) {
      for (const [verb, operation] of Object.entries(item)) {
        if (!operation.tags.includes(tag.name)) continue;
        section.append(article(path, verb, operation));
        links.append(make("a", { href: `#${operation.operationId}` },
          make("span", { class: `verb ${verb}` }, verb.toUpperCase()), operation.operationId));
      }
    }
    byId("operations").append(section);
    byId("toc").append(links);
  }
}

function openTarget() {
  const target = location.hash && byId(location.hash.slice(1));
  if (!target?.matches("article")) return;
  target.querySelector("details").open = true;
  target.scrollIntoView();
}

byId("filter").addEventListener("input", ({ target }) => {
  const wanted = target.value.toLowerCase();
  for (const link of document.querySelectorAll("#toc a")) {
    link.hidden = !link.textContent.toLowerCase().includes(wanted);
    link.style.display = link.hidden ? "none" : "";
  }
});
byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = (root.dataset.theme ?? (dark ? "dark" : "light")) === "dark" ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});
// A token stays in this tab and ends with it.
byId("token").value = sessionStorage.getItem("token") ?? "";
byId("token").addEventListener("input", ({ target }) => sessionStorage.setItem("token", target.value));
const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;

spec = await (await fetch("/openapi.json")).json();
show();
openTarget();
addEventListener("hashchange", openTarget);
