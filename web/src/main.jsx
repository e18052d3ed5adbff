// The GraphiQL page. It speaks to the address that it was opened at: POST for queries and mutations, and
// graphql-transport-ws on the same path for subscriptions; so /graphql and /graphql/{chainId} need no settings.

import './workers.js';
import { createGraphiQLFetcher, createLocalStorage } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';
import allNetworks from './queries/all-networks.graphql';
import oneNetwork from './queries/one-network.graphql';
import icon from './icon.svg';
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './style.css';

const path = location.pathname;
const chainId = path.match(/\/graphql\/([^/]+)\/?$/)?.[1];
const name = chainId ? `Meikan · ${decodeURIComponent(chainId)}` : 'Meikan';

const fetcher = createGraphiQLFetcher({
  url: path,
  subscriptionUrl: `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}${path}`,
});

// Tabs and history are kept apart for each address, so that a network's page opens with that network's queries.
const storage = createLocalStorage({ namespace: `meikan:${path}` });

document.title = `${name} · GraphiQL`;
createRoot(document.getElementById('graphiql')).render(
  <GraphiQL fetcher={fetcher} storage={storage} defaultQuery={chainId ? oneNetwork : allNetworks}>
    <GraphiQL.Logo>
      <span className="meikan-logo">
        <img src={icon} alt="" />
        {name}
      </span>
    </GraphiQL.Logo>
  </GraphiQL>,
);
