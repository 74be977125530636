// Shows /openapi.json. All text goes in as text, never as markup.
"use strict";

let spec;

/** Makes an element: `el("p.soft", {id: "x"}, "text", otherElement)`. */
function el(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Text with `code` between backquotes. */
function prose(text) {
  return (text || "").split("`").map((part, n) => (n % 2 ? el("code", {}, part) : part));
}

function resolve(schema) {
  if (!schema.$ref) return schema;
  const target = schema.$ref.slice(2).split("/").reduce((at, step) => at[step], spec);
  return { ...target, ...schema, $ref: undefined };
}

function typeName(schema) {
  if (schema === true || !schema) return "any";
  if (schema.$ref) {
    const target = resolve(schema);
    return target.enum || target.oneOf ? typeName(target) : schema.$ref.split("/").pop();
  }
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const choices = schema.oneOf || schema.anyOf;
  if (choices) return choices.map(typeName).join(" | ");
  const types = [].concat(schema.type || "any");
  return types
    .map((type) => {
      if (type === "array") return `array of ${typeName(schema.items)}`;
      if (type === "object" && schema.additionalProperties) return `map to ${typeName(schema.additionalProperties)}`;
      return schema.format && type !== "null" ? `${type} (${schema.format})` : type;
    })
    .join(" | ");
}

/** The object schemas that a schema holds, whatever wraps them. */
function inner(schema) {
  if (!schema || schema === true) return null;
  const full = resolve(schema);
  if (full.properties) return full;
  const wrapped = [full.items, full.additionalProperties].concat(full.anyOf || [], full.oneOf || []);
  for (const one of wrapped) {
    const found = one && typeof one === "object" ? inner(one) : null;
    if (found) return found;
  }
  return null;
}

function limits(schema) {
  const facts = [];
  if (schema.minimum !== undefined || schema.maximum !== undefined) {
    facts.push(`${schema.minimum ?? "…"} to ${schema.maximum ?? "…"}`);
  }
  if (schema.default !== undefined && schema.default !== null) facts.push(`default ${JSON.stringify(schema.default)}`);
  return facts.length ? ` (${facts.join(", ")})` : "";
}

function row(name, must, schema, about) {
  return el("tr", {},
    el("td", {}, el("code", {}, name), must ? el("span.must", { title: "required" }, " *") : null),
    el("td.type", {}, typeName(schema) + limits(schema)),
    el("td", {}, ...prose(about), nested(schema)));
}

/** Fields of an object, folded; made when they are first opened, because types may hold themselves. */
function nested(schema) {
  const object = inner(schema);
  if (!object) return null;
  const fold = el("details.schema", {}, el("summary", {}, "fields"));
  fold.addEventListener("toggle", () => {
    if (fold.open && fold.children.length === 1) fold.append(el("div", {}, fields(object)));
  });
  return fold;
}

function fields(schema) {
  const required = schema.required || [];
  const rows = Object.entries(schema.properties || {}).map(([name, of]) =>
    row(name, required.includes(name), of, of.description || (of.$ref && resolve(of).description)));
  return el("table", {}, el("tbody", {}, ...rows));
}

function content(of) {
  const [media, described] = Object.entries(of.content || {})[0] || [];
  return { media, schema: described && described.schema };
}

function replyRow(status, reply) {
  const { media, schema } = content(reply);
  const headers = Object.keys(reply.headers || {}).filter((name) => name !== "x-request-id");
  return el("tr", {},
    el("td", {}, el("code", {}, status)),
    el("td", {}, ...prose(reply.description),
      headers.length ? el("div.soft", {}, `Headers: ${headers.join(", ")}`) : null,
      schema ? nested(schema) : null),
    el("td.type", {}, media || ""));
}

/** A body to start from: what the schema has examples of, and what it requires. */
function example(schema) {
  const required = schema.required || [];
  const entries = Object.entries(schema.properties)
    .filter(([name, of]) => of.examples || required.includes(name))
    .map(([name, of]) => [name, of.examples ? of.examples[0] : ""]);
  return JSON.stringify(Object.fromEntries(entries), null, 2);
}

function tryForm(method, path, operation) {
  const parameters = operation.parameters || [];
  const inputs = parameters.map((parameter) => [parameter, el("input", { spellcheck: "false" })]);
  const { schema } = content(operation.requestBody || {});
  const body = schema ? el("textarea", { spellcheck: "false", "aria-label": "Body" }) : null;
  if (body) body.value = example(schema);
  const output = el("pre", { hidden: "" });
  const send = el("button", { type: "button" }, "Send");
  send.addEventListener("click", async () => {
    let url = path;
    const query = new URLSearchParams();
    const headers = body ? { "Content-Type": "application/json" } : {};
    for (const [{ name, in: place }, input] of inputs) {
      if (place === "path") url = url.replace(`{${name}}`, encodeURIComponent(input.value));
      else if (input.value && place === "query") query.append(name, input.value);
      else if (input.value) headers[name] = input.value;
    }
    output.hidden = false;
    output.textContent = "…";
    try {
      const suffix = query.size ? `?${query}` : "";
      const answer = await fetch(url + suffix, { method, headers, body: body ? body.value : undefined });
      const text = await answer.text();
      output.textContent = `${answer.status} ${answer.statusText}\n\n${pretty(text)}`;
    } catch (error) {
      output.textContent = String(error);
    }
  });
  return el("div.try", {}, ...inputs.map(([{ name }, input]) => el("label", {}, name, input)), body, send, output);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function show(method, path, operation) {
  const parameters = operation.parameters || [];
  const { schema } = content(operation.requestBody || {});
  const parts = el("div");
  if (parameters.length) {
    const rows = parameters.map((one) => row(one.name, one.required, one.schema, `${one.description || ""} (${one.in})`));
    parts.append(el("h4", {}, "Parameters"), el("table", {}, el("tbody", {}, ...rows)));
  }
  if (schema) parts.append(el("h4", {}, "Body"), fields(resolve(schema)));
  const replies = Object.entries(operation.responses).map(([status, reply]) => replyRow(status, reply));
  parts.append(el("h4", {}, "Answers"), el("table", {}, el("tbody", {}, ...replies)));
  // An endless stream has no place in a form.
  if (!content(operation.responses["200"] || {}).media?.includes("event-stream")) {
    parts.append(el("h4", {}, "Try it"), tryForm(method.toUpperCase(), path, operation));
  }
  return el("details.operation", { id: operation.operationId },
    el("summary", {},
      el(`span.method.${method}`, {}, method.toUpperCase()),
      el("h3", {}, el("code", {}, path)),
      el("span.soft", {}, ...prose(operation.summary))),
    parts);
}

function errorCodes() {
  const rows = spec.components.schemas.Code.oneOf.map(({ const: code, description }) =>
    el("tr", { id: code }, el("td", {}, el("code", {}, code)), el("td", {}, ...prose(description))));
  return el("section", {}, el("h2", { id: "errors" }, "Errors"),
    el("p", {}, ...prose("Every error is `application/problem+json` (RFC 9457); act on its `code`."),
      nested(spec.components.schemas.Problem)),
    el("table", {}, el("tbody", {}, ...rows)));
}

/** Opens what the address names. */
function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.tagName === "DETAILS") target.open = true;
  target.scrollIntoView();
}

async function start() {
  const about = document.getElementById("about");
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`/openapi.json: ${answer.status}`);
  spec = await answer.json();
  about.replaceChildren(`Version ${spec.info.version}. ${spec.info.description} `,
    el("a", { href: "/openapi.json" }, "OpenAPI document"));
  const main = document.getElementById("operations");
  const contents = document.getElementById("contents");
  contents.append(el("a", { href: "/" }, el("strong", {}, "Icehaul")));
  for (const tag of spec.tags) {
    main.append(el("h2", {}, tag.name), el("p.soft", {}, tag.description));
    contents.append(el("strong", {}, tag.name));
    for (const [path, methods] of Object.entries(spec.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (!operation.tags.includes(tag.name)) continue;
        main.append(show(method, path, operation));
        const short = path.replace(/^\/api\/v1(?!\/health)/, "").replace(/\{[^}]+\}/g, "…");
        contents.append(el("a", { href: `#${operation.operationId}`, title: `${path}: ${operation.summary}` },
          el(`span.method.${method}`, {}, method.toUpperCase()), short));
      }
    }
  }
  main.append(errorCodes());
  contents.append(el("a", { href: "#errors" }, el("strong", {}, "Errors")));
  follow();
}

addEventListener("hashchange", follow);
start().catch((error) => {
  document.getElementById("about").textContent = `The documentation cannot be shown: ${error.message}`;
});
