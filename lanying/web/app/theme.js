// Before anything is drawn: the look chosen on this device. No module, so that it runs first.
document.documentElement.dataset.theme = localStorage.getItem('lanying-theme') || 'auto';
