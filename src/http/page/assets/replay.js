// The empty fields of a replay show the present margins of the metric that is chosen.
"use strict";

{
  const show = () => {
    const form = document.querySelector("form.try");
    const chosen = form?.elements.metric?.selectedOptions[0];
    for (const name of chosen ? ["tolerated", "accepted"] : []) form.elements[name].placeholder = chosen.dataset[name];
  };
  document.addEventListener("change", show);
  // A browser that goes back keeps the choice.
  addEventListener("pageshow", show);
}
