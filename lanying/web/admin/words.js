// The admin page's words.

import { language } from '../app/i18n.js';

const EN = {
  admin: 'Administration', overview: 'Overview', users: 'Users', groups: 'Groups', server: 'Server', leave: 'Leave', token: 'Admin token', enter: 'Open',
  tokenText: 'The admin token is in the file admin-token of the server’s data directory.', tokenWrong: 'That is not the admin token of this server.', sessions: 'Sessions', rate: 'Messages per second', commits: 'Commits per second', latency: 'Commit latency, slowest shard', memory: 'Memory', cpu: 'CPU', uptime: 'Uptime', version: 'Version',
  process: 'Process', state: 'State', restarts: 'Restarts', messages: 'Messages', refused: 'Refused', perShard: 'per shard', processes: 'Processes',
  find: 'Find in what is loaded', name: 'Name', number: 'Number', status: 'Status', active: 'active', banned: 'banned', ban: 'Ban', unban: 'Lift ban', kick: 'Sign out', password: 'New password', remove: 'Delete', more: 'More', done: 'Done',
  owner: 'Owner', members: 'Members', destroyed: 'dissolved', destroy: 'Dissolve', muteAll: 'Mute', unmuteAll: 'Unmute', sure: 'Really?', actions: 'Actions', none: 'Nothing here yet.', create: 'Create user', createText: 'Accounts can be made here also while registration is closed.', username: 'Username', pass: 'Password',
  apps: 'Apps', backups: 'Backups', backupText: 'On the server itself, also while it runs:', backupOff: 'Backups from this page are switched off. To switch them on, name a directory, best on another disk, in the settings and start the server again:',
  backupInto: 'Backups go to', backupMade: 'Last whole one', backupNever: 'There is none yet.', backupNow: 'Back up now', progress: 'Progress', running: 'running', failed: 'failed', cancelled: 'cancelled', data: 'Data directory', durability: 'Durability', address: 'Address', metrics: 'Metrics (on the server)', shards: 'Shards', started: 'Started', last: 'last 5 minutes', lost: 'No answer from the server; asking again.',
};
const ZH = {
  admin: '管理', overview: '概览', users: '用户', groups: '群组', server: '服务器', leave: '退出', token: '管理员令牌', enter: '打开',
  tokenText: '令牌保存在服务器数据目录的 admin-token 文件中。', tokenWrong: '这不是此服务器的管理员令牌。', sessions: '在线会话', rate: '每秒消息', commits: '每秒提交', latency: '提交延迟（最慢分片）', memory: '内存', cpu: 'CPU', uptime: '运行时间', version: '版本',
  process: '进程', state: '状态', restarts: '重启次数', messages: '消息', refused: '拒绝', perShard: '按分片', processes: '进程',
  find: '在已加载的内容中查找', name: '名称', number: '号码', status: '状态', active: '正常', banned: '已封禁', ban: '封禁', unban: '解封', kick: '强制下线', password: '新密码', remove: '删除', more: '更多', done: '完成',
  owner: '群主', members: '成员', destroyed: '已解散', destroy: '解散', muteAll: '全员禁言', unmuteAll: '解除禁言', sure: '确定吗？', actions: '操作', none: '这里还没有内容。', create: '新建用户', createText: '关闭注册时也可以在这里创建账号。', username: '用户名', pass: '密码',
  apps: '应用', backups: '备份', backupText: '也可在服务器上直接执行（无需停机）：', backupOff: '此页面的备份功能未启用。如需启用，请在配置中指定一个目录（最好在另一块磁盘上），然后重启服务器：',
  backupInto: '备份目录：', backupMade: '最近一次完整备份', backupNever: '还没有备份。', backupNow: '立即备份', progress: '进度', running: '进行中', failed: '失败', cancelled: '已取消', data: '数据目录', durability: '持久性', address: '地址', metrics: '指标（在服务器上）', shards: '分片', started: '启动时间', last: '最近 5 分钟', lost: '服务器没有回应，正在重试。',
};

/** @param {keyof typeof EN} key */
export const w = (key) => (language() === 'zh' ? ZH : EN)[key];
