// Asks who is signed in, with the session's cookie, and sends a word through a WebSocket. `ask`, `note` and `echo` are there
// for trying by hand.
export async function ask() {
  return (await fetch("/desk/me/", {credentials: "include"})).json();
}

export async function note(text) {
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
  const answer = await fetch("/desk/note/", {method: "POST", credentials: "include",
    headers: {"Content-Type": "application/json", "X-CSRFToken": token}, body: JSON.stringify({note: text})});
  return answer.ok ? answer.json() : {status: answer.status};
}

export function echo(text) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/echo`);
    socket.onopen = () => socket.send(text);
    socket.onerror = () => reject(new Error("no WebSocket"));
    socket.onmessage = (event) => { resolve(event.data); socket.close(); };
  });
}

window.desk = {ask, note, echo};
ask().then((me) => { document.getElementById("user").textContent = me.user; });
