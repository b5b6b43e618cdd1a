// Requests to the server. An answer that is an error is thrown with what it says.

export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status; // 0: there was no answer
  }
}

export async function get(path, parameters = {}) {
  return (await fetched(path, parameters)).json();
}

export async function getBytes(path, parameters = {}) {
  return (await fetched(path, parameters)).arrayBuffer();
}

export async function text(path, parameters = {}) {
  return (await fetched(path, parameters)).text();
}

export function put(path, parameters, content) {
  return sent("PUT", path, parameters, content);
}

export function post(path, parameters, content) {
  return sent("POST", path, parameters, content);
}

async function sent(method, path, parameters, content) {
  const options = { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) };
  return (await fetched(path, parameters, options)).json();
}

export async function postBytes(path, parameters, content) {
  const options = { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: content };
  return (await fetched(path, parameters, options)).json();
}

export function address(path, parameters) {
  return `${path}?${new URLSearchParams(parameters)}`;
}

async function fetched(path, parameters, options = {}) {
  let response;
  try {
    response = await fetch(address(path, parameters), { headers: { Accept: "application/json" }, ...options });
  } catch {
    throw new Failure(0, "The server does not answer. Start it again in the terminal; nothing that was saved is lost.");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  throw new Failure(response.status, said.error || `the server answered ${response.status}`);
}
