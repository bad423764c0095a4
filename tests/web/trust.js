// What the SDK says of each of these addresses, a line each. `node trust.js URL…`
import { Rest } from '../../lanying/web/sdk/rest.js';

for (const url of process.argv.slice(2)) {
  const said = await new Rest(url, 'lanying').post('/token/user', {}).then(() => 'well', ({ message }) => message);
  console.log(said);
}
